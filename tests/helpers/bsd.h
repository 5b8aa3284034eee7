/* For make check: compiles DragonFly's branches of ws.h with the headers of musl. DragonFly has arc4random_buf, but no
   getrandom here. */
#include <stddef.h>
void arc4random_buf(void *data, size_t size);
#define getrandom there_is_none
