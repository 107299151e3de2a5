/* thread_sanitizer.c - lets Criterion run under the thread sanitizer. The processes of its tests share memory at one
   address, which Criterion looks for between 0x2000'0000'0000 and 0x6000'0000'0000. There the sanitizer keeps its
   shadow of the program; what it leaves to programs begins at 0x7e80'0000'0000. Requests are moved there. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *moved(void *address)
{
    const uintptr_t low = 0x200000000000, high = 0x600000000000, free_low = 0x7e8000000000, room = 0x8000000000;
    const uintptr_t at = (uintptr_t)address;
    return at >= low && at < high ? (void *)(free_low + (at - low) % room) : address;
}

int mincore(void *address, size_t length, unsigned char *pages)
{
    return (int)syscall(SYS_mincore, moved(address), length, pages);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return (void *)syscall(SYS_mmap, fd >= 0 ? moved(address) : address, length, protection, flags, fd, offset);
}
