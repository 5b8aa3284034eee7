/* ../../windows.h has it. */
