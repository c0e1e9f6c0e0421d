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

    it("replaces a link, and not what it leads to", function()
        shell "echo old > b; ln -s b link"
        assert.is_true(core.replace_file(folder .. "/link", "new"))
        assert.equal("old\nnew", shell "cat b link")
        assert.equal("", shell "readlink link")
    end)

    it("takes no place but a file's", function()
        shell "mkfifo fifo; mkdir folder"
        for name, expected in pairs { fifo = "EINVAL", folder = "EISDIR" } do
            local done, code = core.replace_file(folder .. "/" .. name, "new")
            assert.is_nil(done)
            assert.equal(expected, core.error_name(code), name)
        end
        assert.equal("fifo\nfolder", shell "ls -A")
    end)
end)
