/* h1_object.h - what the files of the codec's binding share, and the steps of
 * move_lua.c that go through it. */
#ifndef MW_LUA_H1_OBJECT_H
#define MW_LUA_H1_OBJECT_H

#include <lua.h>

#include "core/h1.h"
#include "lua/util.h"

#define MWL_H1 "moonwire.core.H1"

struct mwL_h1 {
    const struct mwL_type *type;
    struct mw_h1 *h1; /* owned; NULL before and after its life */
    const struct mw_h1_request *holds_head; /* what is anchored at the moment */
    bool holds_input;
    bool holds_body;
    bool holds_answer;
    bool is_lent; /* bytes of nobody's; an error was raised if it still is */
};

/* Anchors: what is lent stays alive in these slots of the object's table. */
enum {
    MWL_H1_INPUT = 1,
    MWL_H1_HEAD,
    MWL_H1_BODY,
    MWL_H1_ANSWER, /* the headers of the last answer */
    MWL_H1_ANCHORS = MWL_H1_ANSWER
};

/* The codec's object at `idx`; raises when it is something else. */
struct mwL_h1 *mwL_check_h1_object(lua_State *L, int idx);

/* Lets go of the bytes that the codec at `idx` was fed once they are used up.
 */
void mwL_h1_drop_input(lua_State *L, struct mwL_h1 *object, int idx);

/* Lends the codec at `idx` the head behind it and the body behind that, a
 * string or nil: a whole request.  Returns MW_OK or a code. */
int mwL_h1_send_whole(lua_State *L, struct mwL_h1 *object, int idx);

/* Pushes the event that the codec at `idx` gives, with what belongs to it: see
 * H1:next_answer in _meta/core.lua.  Returns how many values.  The running
 * function must have been given the words as its upvalues. */
int mwL_push_answer(lua_State *L, struct mwL_h1 *object, int idx);

/* Pushes those words; returns how many. */
int mwL_push_words(lua_State *L);

/* Ends the exchange of the codec at `idx` and pushes what H1:finish returns.
 * Returns how many values. */
int mwL_h1_finish(
    lua_State *L, struct mwL_h1 *object, int idx, bool *is_reusable);

/* Adds the methods that read to the class. */
void mwL_add_h1_reading(lua_State *L);

#endif
