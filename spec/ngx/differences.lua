-- What comes out otherwise inside an nginx worker than on ev, and why: file -> name of the test ->
-- reason. A test that is listed has to fail there; one that isn't has to pass.
return {
}
