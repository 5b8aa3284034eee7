/* For make check: compiles the BSDs' branches of ws.h with the headers of musl. The BSDs have arc4random_buf, but no
   getrandom. */
#include <stddef.h>
void arc4random_buf(void *data, size_t size);
#define getrandom there_is_none
