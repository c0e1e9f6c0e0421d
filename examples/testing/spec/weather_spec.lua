-- Tests without network and without waiting:  cd examples/testing && busted --lua=luajit
local moonwire = require "moonwire"
local testing = require "moonwire.testing"
local weather = require "weather"

local NOW = "https://api.weather.test/v1/now"

describe("weather.temperature", function()
    local transport

    before_each(function()
        transport = testing.transport()
        testing.intercept(transport)
    end)

    after_each(function()
        testing.restore()
    end)

    it("is what the service says", function()
        transport:on("GET", NOW, { json = { temperature = -3 } }, { query = { city = "Oslo" } })
        assert.equal(-3, weather.temperature "Oslo")
        transport:assert_done()
    end)

    it("says that there is no such city", function()
        transport:on("GET", NOW, { status = 404 })
        local value, problem = weather.temperature "Atlantis"
        assert.is_nil(value)
        assert.equal("there is no city called Atlantis", problem)
    end)

    it("asks again when the service is busy, later", function()
        transport:on("GET", NOW, {
            { status = 503, headers = { ["Retry-After"] = "5" } },
            { json = { temperature = 12 } },
        })
        testing.run(function()                 -- a clock on which waiting takes no time
            local started = moonwire.now()
            assert.equal(12, weather.temperature "Rome")
            assert.equal(5, moonwire.now() - started)
        end)
        assert.equal(2, #transport.calls)
    end)

    it("says when the service can't be reached", function()
        transport:on("GET", NOW, { error = { kind = "connect", message = "nobody is there" } })
        testing.run(function()
            local _, problem = weather.temperature "Rome"
            assert.equal("the weather service can't be reached: nobody is there", problem)
        end)
        assert.equal(3, #transport.calls)
    end)
end)
