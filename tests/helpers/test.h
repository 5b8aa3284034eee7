/*
   A small test harness. A file of tests looks like this:

       static void test_sum(void) {
           if (!test_begin("sum of %d and %d", 1, 2))
               return;
           CHECK_EQ(sum(1, 2), 3);
       }

       int main(int argc, char **argv) {
           test_start(argc, argv);
           test_sum();
           return test_finish();
       }

   A test lasts until the next test_begin. An assertion that fails is recorded, and the test continues. An argument on
   the command line runs only the tests whose names contain it. With TEST_FIRST in the environment, the first failure
   ends the program.
*/
#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEST_MAX_REPORTS 4 /* of one test: an exhaustive loop must not flood the screen */

typedef struct test_state {
    const char *filter;
    char name[200];
    const char *lacking; /* what the tests from here on need, but this system lacks; NULL: nothing */
    bool running;
    int failures; /* of the running test */
    int passed, failed, skipped;
} test_state;

static test_state test_now;

#if defined(_WIN32)
enum { TEST_WINDOWS = true };
#else
enum { TEST_WINDOWS = false };
#endif

#if defined(__has_feature) /* clang has it */
#define TEST_HAS(feature) __has_feature(feature)
#else
#define TEST_HAS(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || TEST_HAS(address_sanitizer) \
    || TEST_HAS(thread_sanitizer) || TEST_HAS(memory_sanitizer)
enum { TEST_SANITIZED = true };
#else
enum { TEST_SANITIZED = false };
#endif

/* Whether a test that repeats something thousands of times should do so less often: under a sanitizer, or with
   TEST_QUICK in the environment, as under valgrind. */
static inline bool test_quick(void) { return TEST_SANITIZED || getenv("TEST_QUICK") != NULL; }

static inline void test_start(int argc, char **argv) {
    memset(&test_now, 0, sizeof test_now);
    test_now.filter = argc > 1 ? argv[1] : "";
    /* so that a crash does not lose the output; Windows has no line buffering */
    (void)setvbuf(stdout, NULL, TEST_WINDOWS ? _IONBF : _IOLBF, BUFSIZ);
}

/* For a program that reads files of the tree, or writes into build/. */
static inline void test_start_in_tree(int argc, char **argv) {
    FILE *file = fopen("tests/helpers/test.h", "r");
    test_start(argc, argv);
    if (!file) {
        printf("start this program at the top of the tree, where tests/ and build/ are\n0 passed, 1 failed\n");
        exit(1);
    }
    (void)fclose(file);
}

static inline void test_end(void) {
    if (test_now.running) {
        if (test_now.failures)
            test_now.failed++;
        else
            test_now.passed++;
    }
    test_now.running = false;
}

/* Counts the running test as skipped. */
static inline void test_skip(const char *why) {
    printf("skipped: %s: %s\n", test_now.name, why);
    if (test_now.running)
        test_now.skipped++;
    test_now.running = false;
}

/* Ends the running test and begins one with this name. false: the filter excludes it, or the system lacks what it
   needs. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static inline bool test_begin(const char *format, ...) {
    va_list arguments;
    test_end();
    va_start(arguments, format);
    (void)vsnprintf(test_now.name, sizeof test_now.name, format, arguments);
    va_end(arguments);
    test_now.failures = 0;
    test_now.running = strstr(test_now.name, test_now.filter) != NULL;
    if (test_now.running && test_now.lacking)
        test_skip(test_now.lacking);
    return test_now.running;
}

/* For a test that needs what Windows lacks. false: this is Windows, and the test counts as skipped. */
static inline bool test_posix(const char *what) {
    if (TEST_WINDOWS)
        test_skip(what);
    return !TEST_WINDOWS;
}

/* The same for all tests from here on, until it is called with NULL. */
static inline void test_posix_from_here(const char *what) { test_now.lacking = TEST_WINDOWS ? what : NULL; }

/* A copy in a block of exactly this size, so that a sanitizer notices an access beyond it. NULL if size is 0. */
static inline char *test_exact(const char *data, size_t size) {
    char *block = size ? (char *)malloc(size) : NULL;
    if (size && !block)
        abort();
    return size ? (char *)memcpy(block, data, size) : NULL;
}

/* Prints the result, which is the last line, and returns the exit status. */
static inline int test_finish(void) {
    test_end();
    printf("%d passed, %d failed", test_now.passed, test_now.failed);
    if (test_now.skipped)
        printf(", %d skipped", test_now.skipped);
    printf("\n");
    return test_now.failed ? 1 : 0;
}

/* Records a failure. true: the caller should print details. */
static inline bool test_failure(const char *file, int line, const char *what) {
    if (test_now.lacking || ++test_now.failures > TEST_MAX_REPORTS)
        return false;
    printf("FAILED %s\n  %s:%d: %s\n", test_now.name, file, line, what);
    if (getenv("TEST_FIRST"))
        _Exit(1);
    return true;
}

static inline void test_check(bool good, const char *what, const char *file, int line) {
    if (!good)
        (void)test_failure(file, line, what);
}

static inline void test_equal(long long is, long long wanted, const char *what, const char *file, int line) {
    if (is != wanted && test_failure(file, line, what))
        printf("    is %lld, should be %lld\n", is, wanted);
}

static inline void test_row(const char *title, const uint8_t *data, size_t size, size_t from) {
    size_t i;
    printf("    %-9s %zu bytes, from %zu:", title, size, from);
    for (i = from; i < size && i < from + 20; i++)
        printf(" %02x", data[i]);
    printf("  ");
    for (i = from; i < size && i < from + 20; i++)
        printf("%c", data[i] >= 32 && data[i] < 127 ? data[i] : '.');
    printf("\n");
}

static inline void test_memory(const void *is, size_t is_size, const void *wanted, size_t wanted_size,
                               const char *what, const char *file, int line) {
    const uint8_t *a = (const uint8_t *)is, *b = (const uint8_t *)wanted;
    size_t at = 0;
    while (at < is_size && at < wanted_size && a[at] == b[at])
        at++;
    if ((at == is_size && at == wanted_size) || !test_failure(file, line, what))
        return;
    test_row("is", a, is_size, at > 8 ? at - 8 : 0);
    test_row("should be", b, wanted_size, at > 8 ? at - 8 : 0);
}

/* WS_SMALL behaves the same, but gives less detail. */
#ifdef WS_SMALL
enum { TEST_SMALL = true };
#define IF_SMALL(small, full) small
#else
enum { TEST_SMALL = false };
#define IF_SMALL(small, full) full
#endif
/* What the text of an error contains: these words or, with WS_SMALL, the sentence of ws_error_text. */
#define DETAIL(error, words) (TEST_SMALL ? ws_error_text(error) : (words))
/* A reason phrase that WS_SMALL lacks. */
#define REASON(phrase) IF_SMALL("Status", phrase)

#define CHECK(condition) test_check((condition) ? true : false, #condition, __FILE__, __LINE__)
#define CHECK_EQ(is, wanted) \
    test_equal((long long)(is), (long long)(wanted), #is " == " #wanted, __FILE__, __LINE__)
#define CHECK_MEM(is, is_size, wanted, wanted_size) \
    test_memory((is), (is_size), (wanted), (wanted_size), #is " == " #wanted, __FILE__, __LINE__)
#define CHECK_STR(is, wanted) CHECK_MEM((is), strlen(is), (wanted), strlen(wanted))

#endif
