-- What peers do to us in clear they do over TLS: how responses are framed, and what follows them.
local kit = require "spec.hostile.kit"

kit.with_tls "framing_spec.lua"
kit.with_tls "no_body_spec.lua"
