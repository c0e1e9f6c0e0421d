/* split_fuzz.c - the same bytes give the same events, wherever they are cut
 * and however many bytes of a body are read at once; and where no line begins
 * with a blank, whether or not folded lines are joined. */
#include "fuzz/player.h"

#include <stdio.h>
#include <string.h>

static void
compare(struct mw_buf *whole, struct mw_buf *cut)
{
    size_t len = mw_buf_len(whole);
    bool same = mw_buf_len(cut) == len &&
                memcmp(mw_buf_borrow(whole), mw_buf_borrow(cut), len) == 0;

    if (!same)
        fprintf(stderr, "--- whole\n%.*s--- cut\n%.*s---\n", (int)len,
            mw_buf_borrow(whole), (int)mw_buf_len(cut), mw_buf_borrow(cut));
    must(same);
}

static bool
may_be_folded(struct mw_slice bytes)
{
    return memmem(bytes.data, bytes.len, "\n ", 2) != NULL ||
           memmem(bytes.data, bytes.len, "\n\t", 2) != NULL;
}

static bool
has_error(const struct mw_buf *said)
{
    const char word[] = "\nerror ";

    return memmem(mw_buf_borrow(said), mw_buf_len(said), word,
               sizeof(word) - 1) != NULL ||
           memcmp(mw_buf_borrow(said), word + 1, sizeof(word) - 2) == 0;
}

/* The one that joins may find a fault a little later. */
static void
compare_compat(struct run run, struct mw_slice bytes)
{
    struct cutter cutter = {.cut = cut_nothing, .max = SIZE_MAX};
    struct mw_buf said[2] = {{0}};

    run.eof = true;
    run.compat = 0;
    play(&run, bytes, &cutter, &said[0]);
    run.compat = MW_H1_OBS_FOLD;
    play(&run, bytes, &cutter, &said[1]);
    if (!has_error(&said[0]) || !has_error(&said[1]))
        compare(&said[0], &said[1]);
    mw_buf_deinit(&said[0]);
    mw_buf_deinit(&said[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct choices from = {data, len};
    enum mw_h1_role role =
        len > 0 && (data[0] & 128) ? MW_H1_SERVER : MW_H1_CLIENT;
    struct run run = take_run(&from, role);
    struct mw_slice cuts = take_text(&from, 16);
    size_t max = take_number(&from, 255) + 1;
    struct mw_slice bytes = {(const char *)from.data, from.len};
    struct cutter cutters[] = {
        {.cut = cut_nothing, .max = SIZE_MAX},
        {.cut = cut_each_byte, .max = SIZE_MAX},
        {.cut = cut_as_chosen, .max = max},
        {.cut = cut_as_chosen, .max = max, .goes_past = true},
    };
    struct mw_buf said[4] = {{0}};

    for (int i = 0; i < 4; i++) {
        cutters[i].from =
            (struct choices){(const uint8_t *)cuts.data, cuts.len};
        play(&run, bytes, &cutters[i], &said[i]);
        if (i > 0)
            compare(&said[0], &said[i]);
    }
    for (int i = 0; i < 4; i++)
        mw_buf_deinit(&said[i]);
    if (!may_be_folded(bytes))
        compare_compat(run, bytes);
    return 0;
}
