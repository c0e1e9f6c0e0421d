-- client/layers.lua - what may be around an exchange, outermost first. A new layer is a file beside
-- this one and a line here; client/chain.lua says what a layer is.

local auth = require "moonwire.client.auth"
local cache = require "moonwire.client.cache"
local cookies = require "moonwire.client.cookies"
local redirect = require "moonwire.client.redirect"
local retry = require "moonwire.client.retry"
local traceparent = require "moonwire.client.traceparent"

return { redirect, retry, auth, cookies, cache, traceparent }
