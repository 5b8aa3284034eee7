/* The counter of tests/helpers/cost.h, in a file of its own, so that it is compiled without counting itself. */
unsigned long long count_blocks;
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) { count_blocks++; }
