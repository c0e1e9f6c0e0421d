-- Cookies in files, and what curl makes of them.
local cookies = require "moonwire.cookies"
local http = require "moonwire.http"
local json = require "moonwire.json"
local serve = require "spec.support.serve"
local support = require "spec.support"

local TIME = 1000000000

describe("a cookie jar's file", function()
    local dir, path, jar

    before_each(function()
        dir = support.temp_dir()
        path = dir .. "/cookies.txt"
        jar = cookies.jar { now = function() return TIME end }
    end)

    local function write(text)
        local file = assert(io.open(path, "wb"))
        file:write(text)
        file:close()
    end

    local function read()
        local file = assert(io.open(path, "rb"))
        local text = file:read "*a"
        file:close()
        return text
    end

    local function mode_of(name)
        return (select(2, support.run("stat -c %a " .. support.quote(name))):match "%d+")
    end

    local function fill()
        assert(jar:set("https://www.a.com/dir/x", "sid=%20=\"1\"; Max-Age=60; HttpOnly; Secure"))
        assert(jar:set("http://www.a.com/", "lang=; Domain=a.com"))
        assert(jar:set("http://127.0.0.1/", "n=1; Path=/p q"))
        assert(jar:set("http://[fe80::1%25eth0]/", "six=6; SameSite=Lax"))
        assert(jar:set("http://www.a.com/", "gone=1; Max-Age=1"))
        assert(jar:set("http://www.a.com/", "gone=1; Max-Age=0"))
    end

    it("has all of its cookies, in Netscape's format", function()
        fill()
        assert.is_true(jar:save(path))
        local lines = {}
        for line in read():gmatch "[^\n]+" do
            lines[#lines + 1] = line
        end
        assert.equal("# Netscape HTTP Cookie File", lines[1])
        assert.same({
            "#HttpOnly_www.a.com\tFALSE\t/dir\tTRUE\t1000000060\tsid\t%20=\"1\"",
            ".a.com\tTRUE\t/\tFALSE\t0\tlang\t",
            "127.0.0.1\tFALSE\t/p q\tFALSE\t0\tn\t1",
            "fe80::1%eth0\tFALSE\t/\tFALSE\t0\tsix\t6",
        }, { unpack(lines, 3) })
    end)

    it("gives them back", function()
        fill()
        assert(jar:save(path))
        local other = cookies.jar { now = function() return TIME + 1 end }
        local count, problems = other:load(path)
        assert.equal(4, count)
        assert.same({}, problems)
        local all = jar:all()
        all[4].same_site = nil -- it has no place in the file
        assert.same(all, other:all())
        other = cookies.jar { now = function() return TIME + 60 end }
        assert.equal(3, (other:load(path)))
    end)

    it("is for its owner only, and takes the place of another one at once", function()
        write("old")
        support.run("chmod 644 " .. support.quote(path))
        local old = assert(io.open(path, "rb")) -- whoever reads has the whole old one
        fill()
        assert(jar:save(path))
        assert.equal("600", mode_of(path))
        assert.equal("old", old:read "*a")
        old:close()
        assert.equal("cookies.txt\n", (select(2, support.run("ls " .. support.quote(dir)))))
    end)

    it("stays as it was when it can't be written, and that is told", function()
        local done, err = jar:save(dir .. "/none/cookies.txt")
        assert.is_nil(done)
        assert.equal("system", err.kind)
        assert.equal("ENOENT", err.code)
        assert.matches("the cookies can't be saved as .*/none/cookies.txt: no such file",
            err.message)
        support.run("mkdir " .. support.quote(path))
        done, err = jar:save(path)
        assert.is_nil(done)
        assert.equal("EISDIR", err.code)
        assert.equal("cookies.txt\n", (select(2, support.run("ls " .. support.quote(dir)))))
        done, err = jar:save "/dev/full/x"
        assert.is_nil(done)
        assert.equal("ENOTDIR", err.code)
    end)

    it("says so when it can't be read", function()
        local count, err = jar:load(path)
        assert.is_nil(count)
        assert.equal("system", err.kind)
        assert.equal(2, err.errno)
        assert.matches("the cookies can't be read: .*cookies.txt: No such file", err.message)
        count, err = jar:load(dir)
        assert.is_nil(count)
        assert.matches("Is a directory", err.message)
        assert.same({}, jar:all())
    end)

    it("is read around its broken lines, which are told", function()
        write(table.concat {
            "# Netscape HTTP Cookie File\r\n", "\r\n", "   \n", "#HttpOnly is just a comment\n",
            "a.com\tFALSE\t/\tFALSE\t0\tgood\t1\r\n",
            "a.com\tFALSE\t/\tFALSE\t0\n", -- 6
            "a.com FALSE / FALSE 0 x y\n",
            "a.com\tFALSE\t/\tFALSE\t0\tx\ty\tz\n",
            "a.com\tMAYBE\t/\tFALSE\t0\tx\ty\n",
            "a.com\tFALSE\t/\tno\t0\tx\ty\n", -- 10
            "a.com\tFALSE\tx\tFALSE\t0\tx\ty\n",
            "a.com\tFALSE\t/\tFALSE\t-1\tx\ty\n",
            "a.com\tFALSE\t/\tFALSE\tsoon\tx\ty\n",
            "a.com\tFALSE\t/\tFALSE\t0\t\ty\n",
            "a.com\tFALSE\t/\tFALSE\t0\tx\ty\1\n", -- 15
            "a.com\tFALSE\t/\tFALSE\t0\tx\t" .. ("y"):rep(4096) .. "\n",
            ".co.uk\tTRUE\t/\tFALSE\t0\tx\ty\n",
            "127.0.0.1\tTRUE\t/\tFALSE\t0\tx\ty\n",
            "a b\tFALSE\t/\tFALSE\t0\tx\ty\n",
            "a.com\tFALSE\t/\tFALSE\t0\t__Secure-x\ty\n", -- 20
            ".a.com\tTRUE\t/\tTRUE\t0\t__Host-x\ty\n",
            "\tFALSE\t/\tFALSE\t0\tx\ty\n",
            "a.com\tFALSE\t/\tFALSE\t0\tempty\n",
            "a.com\tFALSE\t/\tFALSE\t1\told\t1\n",
            "#HttpOnly_.A.com.\tTRUE\t/\tTRUE\t99999999999999999999\tlast\t2", -- 25, without an end
        })
        local count, problems = jar:load(path)
        assert.equal(3, count)
        local lines = {}
        for i, problem in ipairs(problems) do
            local name, line, text = problem:match "^(.*):(%d+): (.+)$"
            assert.equal(path, name)
            assert.is_nil(text:find "yyy", problem)
            lines[i] = tonumber(line)
        end
        assert.same({ 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22 }, lines)
        assert.equal("good=1; empty=; last=2", jar:header "https://a.com/")
        assert.equal("last=2", jar:header "https://b.a.com/")
    end)

    it("adds to what is there, and replaces what is the same", function()
        assert(jar:set("http://a.com/", "x=1"))
        assert(jar:set("http://a.com/", "y=2"))
        write("a.com\tFALSE\t/\tFALSE\t0\tx\t3\na.com\tFALSE\t/\tFALSE\t0\tz\t4\n")
        assert.equal(2, (jar:load(path)))
        assert.equal("x=3; y=2; z=4", jar:header "http://a.com/")
    end)
end)

describe("a cookie jar's file", function()
    it("is read by curl, and curl's is read", function()
        local process, url = serve.start()
        local path = support.temp_dir() .. "/cookies.txt"
        local jar = cookies.jar()
        support.in_loop(function()
            local client = http.client { cookies = jar }
            assert(client:get(url .. "/cookies/set?a=1&b=%20x")):discard()
            client:close()
        end)
        assert(jar:set(url, "later=3; Max-Age=1000; HttpOnly"))
        assert(jar:save(path))
        local file = support.quote(path)
        local _, output = support.run(("curl -s -L -b %s -c %s '%s/cookies/set?c=4'"):format(file,
            file, url))
        process:kill()
        assert.same({ a = "1", b = "x", c = "4", later = "3" }, json.decode(output).cookies)
        local other = cookies.jar()
        assert.equal(4, (assert(other:load(path))))
        assert.equal("3", other:get(url, "later"))
        assert.equal("4", other:get(url, "c"))
        for _, cookie in ipairs(other:all()) do
            assert.equal(cookie.name == "later", cookie.http_only)
        end
    end)
end)
