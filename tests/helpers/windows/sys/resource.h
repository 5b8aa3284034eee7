/* Windows has no limit of descriptors that a program could set. */
#ifndef WINDOWS_RESOURCE_H
#define WINDOWS_RESOURCE_H

typedef unsigned long rlim_t;
struct rlimit {
    rlim_t rlim_cur, rlim_max;
};

#define RLIMIT_NOFILE 7
#define RLIM_INFINITY (~(rlim_t)0)
#define getrlimit(what, limit) (((limit)->rlim_cur = (limit)->rlim_max = RLIM_INFINITY), 0)
#define setrlimit(what, limit) ((void)(limit), -1)

#endif
