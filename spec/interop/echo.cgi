#!/bin/sh
# A CGI program for the interop specs; its files are in the folder BODIES_FOLDER.
case ${PATH_INFO:-} in
/empty) printf 'Status: 204 No Content\r\n\r\n' ;;
/chunked/*)
    printf 'Content-Type: application/octet-stream\r\n\r\n'
    exec cat "BODIES_FOLDER/${PATH_INFO#/chunked/}"
    ;;
*)
    sum=$(md5sum)
    printf 'Content-Type: text/plain\r\n\r\n'
    echo "$REQUEST_METHOD ${sum%% *} ${HTTP_TRANSFER_ENCODING:-${CONTENT_LENGTH:-none}}"
    ;;
esac
