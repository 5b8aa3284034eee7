/* The counter of tests/cost.h: a file of its own, so that it is compiled without what calls it. */
unsigned long long count_blocks;
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) { count_blocks++; }
