local core = require "moonwire.core"
local support = require "spec.support"

describe("core.replace_file", function()
    local folder

    before_each(function()
        folder = support.temp_dir()
    end)

    local function shell(command)
        local _, out = support.run(("cd %s && %s"):format(support.quote(folder), command))
        return (out:gsub("\n$", ""))
    end

    it("replaces a file as a whole, for its owner only", function()
        assert.is_true(core.replace_file(folder .. "/a", "one"))
        assert.is_true(core.replace_file(folder .. "/a", ("two"):rep(100000)))
        assert.equal("600 300000", shell "stat -c '%a %s' a")
        assert.equal("a", shell "ls -A")
    end)

    it("replaces what a link leads to, and keeps the link", function()
        shell "mkdir there; echo old > there/b; ln -s there/b link"
        assert.is_true(core.replace_file(folder .. "/link", "new"))
        assert.equal("new", shell "test -L link && cat there/b")
        shell "ln -s nowhere broken"
        local done, code = core.replace_file(folder .. "/broken", "new")
        assert.is_nil(done)
        assert.equal("ENOENT", core.error_name(code))
        assert.equal("nowhere", shell "readlink broken")
    end)

    it("takes no place but a file's", function()
        shell "mkfifo fifo; mkdir folder; ln -s /dev/null null"
        for name, expected in pairs { fifo = "EINVAL", folder = "EISDIR", null = "EINVAL" } do
            local done, code = core.replace_file(folder .. "/" .. name, "new")
            assert.is_nil(done)
            assert.equal(expected, core.error_name(code), name)
        end
        assert.equal("fifo\nfolder\nnull", shell "ls -A")
        assert.is_true(os.execute "test -c /dev/null" == 0)
    end)
end)
