/* What ws.h uses of the C library. */
#ifndef MSVC_STDIO_H
#define MSVC_STDIO_H
#include <stdarg.h>
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct FILE FILE;
FILE *_wfopen(const wchar_t *, const wchar_t *);
wchar_t *wcsrchr(const wchar_t *, wchar_t);
int fclose(FILE *);
int ferror(FILE *);
int fprintf(FILE *, const char *, ...);
FILE *__acrt_iob_func(unsigned);
#define stderr (__acrt_iob_func(2))
size_t fread(void *, size_t, size_t, FILE *);
int snprintf(char *, size_t, const char *, ...);
int vsnprintf(char *, size_t, const char *, va_list);
void *realloc(void *, size_t);
void free(void *);
double strtod(const char *, char **);
void *memchr(const void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
char *strchr(const char *, int);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
char *strcpy(char *, const char *);
size_t strcspn(const char *, const char *);
char *strerror(int);
size_t strlen(const char *);
char *strpbrk(const char *, const char *);
size_t strspn(const char *, const char *);
char *strstr(const char *, const char *);
typedef long long time_t;
time_t time(time_t *);
#ifdef __cplusplus
}
#endif
#endif
