/*
 * page.S - the page of `sockrig trace --format html`, as it stands in page.html, .css and .js
 */
        .section .rodata
        .macro embed name, file
        .globl \name
\name:  .incbin "\file"
        .byte 0
        .endm

        embed page_html, page.html
        embed page_css, page.css
        embed page_js, page.js

        .section .note.GNU-stack, "", @progbits
