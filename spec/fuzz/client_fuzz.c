/* client_fuzz.c - a client's codec reads whatever a server may send. */
#include "fuzz/player.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct choices from = {data, len};
    struct run run = take_run(&from, MW_H1_CLIENT);
    struct cutter cutter = {.cut = cut_as_chosen};
    struct mw_slice cuts = take_text(&from, 16);
    struct mw_buf said;

    cutter.max = take_number(&from, 255) + 1;
    cutter.from = (struct choices){(const uint8_t *)cuts.data, cuts.len};
    mw_buf_init(&said);
    play(&run, (struct mw_slice){(const char *)from.data, from.len}, &cutter,
        &said);
    mw_buf_deinit(&said);
    return 0;
}
