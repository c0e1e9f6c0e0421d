-- Code to be tested: asks a service, again if it is busy, and knows what its answers mean.
local http = require "moonwire.http"

local weather = {}

local api = http.client { retry = { attempts = 3 }, timeout = 10 }

--- The temperature of a city, or nil and a sentence.
function weather.temperature(city)
    local res, err = api:get("https://api.weather.test/v1/now", { query = { city = city } })
    if not res then
        return nil, "the weather service can't be reached: " .. err.message
    elseif res.status == 404 then
        return nil, "there is no city called " .. city
    elseif not res.ok then
        return nil, "the weather service says " .. res.status
    end
    return assert(res:json()).temperature
end

return weather
