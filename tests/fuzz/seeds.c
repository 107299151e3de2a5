/* seeds.c - writes the samples of every reader as DIRECTORY/<reader>/<number>, for the fuzzers to start from. */
#define _POSIX_C_SOURCE 200809L

#include "../readers.h"

#include <stdio.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < n_readers; i++) {
        char path[1024];
        if (!reader_present(&readers[i]))
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], readers[i].name);
        mkdir(path, 0777);
        for (unsigned k = 0; k < 6; k++) {
            snprintf(path, sizeof path, "%s/%s/%u", argv[1], readers[i].name, k);
            readers[i].sample(path, k);
        }
        printf("%s\n", readers[i].name);
    }
    return argc != 2;
}
