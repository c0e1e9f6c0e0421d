local date = require "moonwire.cookies.date"

describe("a cookie's date", function()
    local read = {
        ["Wed, 21 Oct 2015 07:28:00 GMT"] = 1445412480,
        ["Wed, 21-Oct-15 07:28:00 GMT"] = 1445412480,
        ["Wed Oct 21 07:28:00 2015"] = 1445412480,
        ["21 October 2015 07:28:00"] = 1445412480,
        ["2015 07:28:00 oct 21"] = 1445412480, -- whichever order
        ["07:28:00;21/OCTOBER,15"] = 1445412480,
        ["Wed, 21 Oct 2015 7:28:0 PST"] = 1445412480, -- there is no zone but UTC
        ["21th Oct 2015AD 07:28:00.123Z"] = 1445412480, -- what stands behind digits
        ["Thu, 01 Jan 1970 00:00:00 GMT"] = 0,
        ["Thu, 01-Jan-70 00:00:00 GMT"] = 0,
        ["Fri, 31-Dec-69 23:59:59 GMT"] = 3155759999,
        ["Tue, 29 Feb 2000 12:00:00 GMT"] = 951825600,
        ["Mon, 01 Jan 1601 00:00:00 GMT"] = -11644473600,
        ["Fri, 31 Dec 9999 23:59:59 GMT"] = 253402300799,
    }
    for text, seconds in pairs(read) do
        it("is read: " .. text, function()
            assert.equal(seconds, date.parse(text))
        end)
    end

    for _, text in ipairs {
        "", "never", "Wed, 21 Oct 2015", "07:28:00 GMT", "Oct 2015 07:28:00", "21 2015 07:28:00",
        "21 Oct 07:28:00", "Wed, 30 Feb 2015 07:28:00 GMT", "29 Feb 2100 00:00:00",
        "00 Oct 2015 07:28:00", "32 Oct 2015 07:28:00", "21 Oct 1600 07:28:00",
        "21 Oct 2015 24:00:00", "21 Oct 2015 07:60:00", "21 Oct 2015 07:28:60",
        "21 Oct 2015 07:28", "021 Oct 2015 07:28:00", "21 Oct 20155 07:28:00",
        "21 Oct 2015 007:28:00", "21 Okt 2015 07:28:00",
    } do
        it("is none: " .. text, function()
            assert.is_nil(date.parse(text))
        end)
    end
end)
