/* request_lua.c - core.request_head: checked and serialised request heads. */
#include "core/err.h"
#include "core/h1.h"
#include "lua/h1_lua.h"
#include "lua/util.h"

#include <string.h>

#define REQUEST_HEAD "moonwire.core.RequestHead"

/* Followed by the bytes of the head. */
struct request_object {
    const struct mwL_type *type;
    struct mw_h1_request request;
};

static const struct mwL_type request_type = {
    REQUEST_HEAD,
    sizeof(struct request_object),
};

const struct mw_h1_request *
mwL_check_request_head(lua_State *L, int idx)
{
    struct request_object *object = lua_touserdata(L, idx);

    if (object == NULL || lua_objlen(L, idx) < sizeof(*object) ||
        object->type != &request_type) {
        luaL_argerror(L, idx,
            lua_pushfstring(
                L, "%s expected, got %s", REQUEST_HEAD, luaL_typename(L, idx)));
        return NULL;
    }
    return &object->request;
}

bool
mwL_opt_flag(lua_State *L, int idx, const char *name)
{
    bool flag;

    if (lua_isnoneornil(L, idx))
        return false;
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_getfield(L, idx, name);
    flag = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return flag;
}

enum mw_h1_framing
mwL_check_framing(lua_State *L, int idx, bool close, uint64_t *length)
{
    const char *word;

    *length = 0;
    if (lua_isnoneornil(L, idx))
        return MW_H1_NONE;
    if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Number number = lua_tonumber(L, idx);

        if (!(number >= 0 && number < 9007199254740992.0) ||
            (lua_Number)(uint64_t)number != number)
            luaL_error(L, "bad argument 'framing' (a body has a whole number "
                          "of bytes, up to 2^53-1)");
        *length = (uint64_t)number;
        return MW_H1_LENGTH;
    }
    word = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    if (strcmp(word, "chunked") == 0)
        return MW_H1_CHUNKED;
    if (!close || strcmp(word, "close") != 0)
        luaL_error(L,
            "bad argument 'framing' (nil, a length%s or \"chunked\" "
            "expected)",
            close ? ", \"close\"" : "");
    return MW_H1_CLOSE;
}

static struct mw_slice
check_text(lua_State *L, int idx, const char *argument)
{
    struct mw_slice text;

    if (lua_type(L, idx) != LUA_TSTRING)
        luaL_error(L, "bad argument '%s' (string expected, got %s)", argument,
            luaL_typename(L, idx));
    text.data = lua_tolstring(L, idx, &text.len);
    return text;
}

/* Raises in words that name the argument, and the field where it was one. */
static int
raise(lua_State *L, const struct mw_headers *headers, int code, ptrdiff_t at)
{
    const char *text = mw_err_text(code);

    if (code == MW_EMETHOD)
        return luaL_error(L, "bad argument 'method' (%s)", text);
    if (code == MW_ETARGET)
        return luaL_error(L, "bad argument 'target' (%s)", text);
    if (code == MW_EPROTOCOLS)
        return luaL_error(L, "bad argument 'upgrade' (%s)", text);
    if (code == MW_EBODY_NONE || code == MW_EINVAL)
        return luaL_error(L, "bad argument 'framing' (%s)", text);
    if (at < 0)
        return luaL_error(L, "bad argument 'headers' (a request has a Host)");
    lua_pushlstring(L, mw_headers_name(headers, (size_t)at).data,
        mw_headers_name(headers, (size_t)at).len);
    if (code == MW_EOWNED &&
        mw_is_word(mw_headers_name(headers, (size_t)at), "host"))
        text = "given twice (RFC 9112 section 3.2)";
    return luaL_error(
        L, "bad argument 'headers' (%s: %s)", lua_tostring(L, -1), text);
}

/* opts.upgrade of the table at `idx`; it stays on the stack, for it is lent. */
static struct mw_slice
opt_upgrade(lua_State *L, int idx)
{
    struct mw_slice protocols = {0};

    if (lua_isnoneornil(L, idx))
        return protocols;
    lua_getfield(L, idx, "upgrade");
    if (lua_isnil(L, -1))
        return protocols;
    protocols = check_text(L, lua_gettop(L), "upgrade");
    if (protocols.len == 0)
        raise(L, NULL, MW_EPROTOCOLS, -1);
    return protocols;
}

static int
l_request_head(lua_State *L)
{
    struct mw_h1_request_parts parts = {
        .method = check_text(L, 1, "method"),
        .target = check_text(L, 2, "target"),
        .headers = mwL_opt_headers(L, 3),
    };
    struct request_object *object;
    ptrdiff_t at;
    int err;

    parts.framing = mwL_check_framing(L, 4, false, &parts.length);
    parts.close = mwL_opt_flag(L, 5, "close");
    parts.trailers = mwL_opt_flag(L, 5, "trailers");
    parts.expect = mwL_opt_flag(L, 5, "expect");
    parts.upgrade = opt_upgrade(L, 5);
    object = lua_newuserdata(L, sizeof(*object) + mw_h1_request_size(&parts));
    object->type = &request_type;
    luaL_setmetatable(L, REQUEST_HEAD);
    err = mw_h1_request_build(
        &object->request, &parts, (char *)(object + 1), &at);
    if (err != MW_OK) {
        object->type = NULL;
        return raise(L, parts.headers, err, at);
    }
    return 1;
}

static int
l_request_head_bytes(lua_State *L)
{
    const struct mw_h1_request *request = mwL_check_request_head(L, 1);

    lua_pushlstring(L, request->bytes, request->len);
    return 1;
}

void
mwL_open_request(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"bytes", l_request_head_bytes},
        {NULL, NULL},
    };

    mwL_class(L, REQUEST_HEAD, methods, NULL);
    lua_pushcfunction(L, l_request_head);
    lua_setfield(L, -2, "request_head");
}
