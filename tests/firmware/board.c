/* What a port of examples/firmware.c needs, for two emulated boards: a start-up, a polled UART, a tick. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define PAINT 0xc5c5c5c5u /* an unused word of the stack: firmware.py looks how deep it went */

extern uint32_t board_image[], board_data[], board_bss[], board_end[], board_top[]; /* of board.ld */
void serve(void);
void board_start(void);
int board_read(uint8_t *to, size_t size);
size_t board_write(const uint8_t *from, size_t size);
bool board_random(void *user, void *to, size_t size);
uint32_t board_milliseconds(void);

static volatile uint32_t milliseconds;

#ifdef BOARD_NRF51 /* UART of the nRF51 (micro:bit) */
static void uart_start(void) {
    REGISTER(0x40002500) = 4; /* enable */
    REGISTER(0x40002000) = 1; /* start to receive, and to send */
    REGISTER(0x40002008) = 1;
}
static bool uart_get(uint8_t *byte) {
    if (!REGISTER(0x40002108))
        return false;
    REGISTER(0x40002108) = 0;
    *byte = (uint8_t)REGISTER(0x40002518);
    return true;
}
static void uart_put(uint8_t byte) {
    REGISTER(0x4000211c) = 0;
    REGISTER(0x4000251c) = byte;
    while (!REGISTER(0x4000211c)) {}
}
#else /* UART of ARM's CMSDK (MPS2) */
static void uart_start(void) {
    REGISTER(0x40004010) = 16;
    REGISTER(0x40004008) = 3;
}
static bool uart_get(uint8_t *byte) {
    if (!(REGISTER(0x40004004) & 2))
        return false;
    *byte = (uint8_t)REGISTER(0x40004000);
    return true;
}
static void uart_put(uint8_t byte) {
    while (REGISTER(0x40004004) & 1) {}
    REGISTER(0x40004000) = byte;
}
#endif

int board_read(uint8_t *to, size_t size) {
    size_t got = 0;
    while (got < size && uart_get(to + got))
        got++;
    return (int)got;
}

size_t board_write(const uint8_t *from, size_t size) {
    uart_put(*from);
    return size ? 1 : 0;
}

bool board_random(void *user, void *to, size_t size) { /* for tests alone: a product has a true source */
    static uint32_t state = 2463534242u;
    for (uint8_t *byte = to; size--; byte++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        *byte = (uint8_t)state;
    }
    return (void)user, true;
}

uint32_t board_milliseconds(void) { return milliseconds; }

void board_start(void) {
    for (uint32_t *word = board_end; word < (uint32_t *)__builtin_frame_address(0) - 16; word++)
        *word = PAINT;
    for (volatile uint32_t *word = board_data; word < board_bss; word++) /* volatile: or it becomes a call of memcpy */
        *word = board_image[word - board_data];
    for (volatile uint32_t *word = board_bss; word < board_end; word++)
        *word = 0;
    uart_start();
#ifdef __arm__
    REGISTER(0xe000e014) = BOARD_CLOCK / 1000 - 1; /* SysTick, on the processor's clock, with its interrupt */
    REGISTER(0xe000e010) = 7;
#endif
    for (;;)
        serve();
}

static void stop(void) { for (;;) {} }
static void tick(void) { milliseconds++; }
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    board_top, board_start, stop, stop, [11] = stop, [14] = stop, [15] = tick};
