/* For make check: the BSDs' branches of ws.h, with the headers of musl. arc4random_buf is theirs, getrandom is not. */
#include <stddef.h>
void arc4random_buf(void *data, size_t size);
#define getrandom there_is_none
