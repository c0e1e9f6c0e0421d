-- What peers do to us in clear they do over TLS: broken and early responses, idle connections.
local kit = require "spec.hostile.kit"

kit.with_tls "broken_spec.lua"
kit.with_tls "idle_spec.lua"
kit.with_tls "upload_spec.lua"
