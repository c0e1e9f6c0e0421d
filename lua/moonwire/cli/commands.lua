-- The subcommands of the `moonwire` command: where the first argument is a name that stands here,
-- main(host, args) of its module goes on. A script of that name is run as ./name.
return {
    bench = "moonwire.bench",
    get = "moonwire.verb", head = "moonwire.verb", post = "moonwire.verb", put = "moonwire.verb",
    patch = "moonwire.verb", delete = "moonwire.verb", options = "moonwire.verb",
}
