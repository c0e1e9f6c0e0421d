-- What comes out otherwise inside an nginx worker than on ev, and why: file -> name of the test ->
-- reason. A test that is listed has to fail there; one that isn't has to pass.

local NO_PEEK = "a cosocket doesn't tell what has come before it is read, so nobody is told of it"
local NO_NAME = "a cosocket doesn't tell its own address"
local NO_HALF = "a cosocket has no shutdown()"

return {
    ["spec/ngx/contract.lua"] = {
        ["the backend relayed: connections knows both addresses"] = NO_NAME,
        ["the backend relayed: reading knows a quiet stream from one with bytes or an end"]
            = NO_PEEK,
        ["the backend relayed: writing closes half: the other direction goes on"] = NO_HALF,
        ["the backend relayed: an idle stream is looked at without a wait"] = NO_PEEK,
        ["the backend relayed: an idle stream tells once that there is something to read"]
            = NO_PEEK,
        ["the backend relayed: an idle stream tells the end"] = NO_PEEK,
        ["the backend relayed: an idle stream can be watched again by whoever is told"] = NO_PEEK,
        ["the backend relayed: an idle stream is one of many that stir at once"] = NO_PEEK,
        ["the backend relayed: an idle stream may be told while another one fails"] = NO_PEEK,
    },
}
