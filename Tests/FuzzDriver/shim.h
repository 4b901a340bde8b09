// libFuzzer's entry for programs that have a main of their own (compiler-rt, FuzzerInterface.h).
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin
int LLVMFuzzerRunDriver(int *argc, char *_Nullable *_Nonnull *_Nonnull argv,
                        int (*target)(const uint8_t *_Nullable data, size_t size));
#pragma clang assume_nonnull end
