/* coding_fuzz.c - whatever bytes a body has, its codings come off the same way
 * wherever it is cut; and what was put on comes off again. */
#include "fuzz/input.h"

#include <string.h>

#include "core/buf.h"
#include "core/coding.h"
#include "core/err.h"

enum {
    MOST = 1024 * 1024 /* bytes of a bomb that are looked at */
};

static size_t
min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Feeds the bytes in pieces, and appends what comes out.  Returns
 * MW_CODING_END or an error; MW_CODING_DATA where there was too much. */
static int
run(struct mw_coding *coding, struct mw_slice bytes, struct cutter *cutter,
    struct mw_buf *out)
{
    static struct lease lease; /* kept for the next input */
    int event = mw_coding_next(coding);

    while (event == MW_CODING_DATA || event == MW_CODING_NEED_DATA) {
        if (event == MW_CODING_DATA) {
            struct mw_slice made = mw_coding_take(coding, cutter->max);

            must(made.len > 0 && made.len <= MW_CODING_WINDOW);
            must(mw_buf_append(out, made.data, made.len) == MW_OK);
            if (mw_buf_len(out) > MOST)
                break;
        } else if (bytes.len > 0) {
            size_t len = cutter->cut(cutter, bytes.len);
            struct mw_slice piece = {bytes.data, len};

            mw_coding_feed(coding, lease_bytes(&lease, piece), len);
            bytes.data += len;
            bytes.len -= len;
        } else {
            mw_coding_feed_eof(coding);
        }
        event = mw_coding_next(coding);
    }
    if (event < 0)
        must(mw_coding_next(coding) == event);
    return event;
}

static int
decode(const enum mw_coding_kind *kinds, size_t count, struct mw_slice bytes,
    struct cutter *cutter, struct mw_buf *out)
{
    struct mw_coding *coding = mw_coding_new_decoder(NULL, kinds, count);
    uint64_t in;
    uint64_t made;
    int end;

    must(coding != NULL);
    end = run(coding, bytes, cutter, out);
    mw_coding_bytes(coding, &in, &made);
    must(in <= bytes.len && made >= mw_buf_len(out));
    must(end != MW_CODING_END || made == mw_buf_len(out));
    mw_coding_free(coding);
    return end;
}

/* How much of a broken body comes out may depend on the cuts, and so does what
 * the inner coding finds wrong with it, and what is too much. */
static void
compare(size_t count, int whole_end, struct mw_buf *whole, int cut_end,
    struct mw_buf *cut)
{
    size_t len = min(mw_buf_len(whole), mw_buf_len(cut));

    must(
        len == 0 || memcmp(mw_buf_borrow(whole), mw_buf_borrow(cut), len) == 0);
    if (whole_end == MW_ECODING_LIMIT || cut_end == MW_ECODING_LIMIT ||
        whole_end == MW_CODING_DATA || cut_end == MW_CODING_DATA)
        return;
    if (count > 1 && (whole_end < 0 || cut_end < 0))
        return;
    must(whole_end == cut_end);
    must(whole_end != MW_CODING_END || mw_buf_len(whole) == mw_buf_len(cut));
}

static void
there_and_back(
    enum mw_coding_kind kind, struct mw_slice bytes, struct cutter *cutter)
{
    struct mw_coding *coding = mw_coding_new_encoder(NULL, kind);
    struct cutter whole = {.cut = cut_nothing, .max = SIZE_MAX};
    struct mw_buf packed = {0};
    struct mw_buf plain = {0};
    struct mw_slice text;

    must(coding != NULL);
    must(run(coding, bytes, cutter, &packed) == MW_CODING_END);
    mw_coding_free(coding);
    text = (struct mw_slice){mw_buf_borrow(&packed), mw_buf_len(&packed)};
    must(decode(&kind, 1, text, &whole, &plain) == MW_CODING_END);
    must(mw_buf_len(&plain) == bytes.len);
    must(bytes.len == 0 ||
         memcmp(mw_buf_borrow(&plain), bytes.data, bytes.len) == 0);
    mw_buf_deinit(&packed);
    mw_buf_deinit(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct choices from = {data, len};
    unsigned how = take_byte(&from);
    enum mw_coding_kind kinds[] = {
        (enum mw_coding_kind)(how & 3), (enum mw_coding_kind)(how >> 2 & 3)};
    size_t count = how & 16 ? 2 : 1;
    struct mw_slice cuts = take_text(&from, 16);
    size_t max = take_number(&from, 255) + 1;
    struct mw_slice bytes = {(const char *)from.data, from.len};
    struct choices pieces = {(const uint8_t *)cuts.data, cuts.len};
    struct cutter whole = {.cut = cut_nothing, .max = SIZE_MAX};
    struct cutter cut = {.cut = cut_as_chosen, .from = pieces, .max = max};
    struct cutter each = {.cut = cut_each_byte, .max = SIZE_MAX};
    struct mw_buf out[3] = {{0}};
    int end = decode(kinds, count, bytes, &whole, &out[0]);

    compare(count, end, &out[0], decode(kinds, count, bytes, &cut, &out[1]),
        &out[1]);
    compare(count, end, &out[0], decode(kinds, count, bytes, &each, &out[2]),
        &out[2]);
    for (int i = 0; i < 3; i++)
        mw_buf_deinit(&out[i]);
    cut.from = pieces;
    if (how & 32)
        there_and_back(kinds[0], bytes, &cut);
    return 0;
}
