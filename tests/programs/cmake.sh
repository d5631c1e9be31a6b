#!/bin/sh
# cmake.sh - `cmake --build` and `ctest` of a small project, with each generator that is there: make
# and ninja. Tests that pass, fail, crash, run late and depend on each other; builds that fail.
# Also with a bare preload.
. "${0%/*}/compare.inc"

messages=same
preload=yes
project=$work/project
mkdir -p "$project"
export project work

cat >"$project/CMakeLists.txt" <<'END_OF_CMAKE'
cmake_minimum_required(VERSION 3.20)
project(small LANGUAGES C)
enable_testing()
execute_process(COMMAND seq 1 100 COMMAND sort -rn COMMAND head -n 1 OUTPUT_VARIABLE most
                OUTPUT_STRIP_TRAILING_WHITESPACE)
message(STATUS "three processes say ${most}")
add_custom_command(OUTPUT words.h
    COMMAND seq 1 ${most} | awk "{ n += $1 } END { print \"#define WORDS\", n }" > words.h VERBATIM)
add_library(parts STATIC)
foreach(number RANGE 1 8)
    set(part ${CMAKE_BINARY_DIR}/part${number}.c)
    file(WRITE ${part} "int part${number}(void) { return ${number}; }\n")
    target_sources(parts PRIVATE ${part})
endforeach()
add_executable(program main.c ${CMAKE_BINARY_DIR}/words.h)
target_include_directories(program PRIVATE ${CMAKE_BINARY_DIR})
target_link_libraries(program parts)
add_executable(broken EXCLUDE_FROM_ALL broken.c)
foreach(number RANGE 1 12)
    add_test(NAME piped.${number}
        COMMAND sh -c "seq 1 ${number}0000 | $<TARGET_FILE:program> | tail -n 2")
endforeach()
add_test(NAME many.words COMMAND sh -c "seq 1 40000; seq 1 1000 >&2")
add_test(NAME fails COMMAND sh -c "echo to be seen | cat; exit 3")
add_test(NAME crashes COMMAND program crash)
add_test(NAME late COMMAND sh -c "sleep 60 | cat")
set_tests_properties(late PROPERTIES TIMEOUT 0.3)
add_test(NAME says COMMAND program)
set_tests_properties(says PROPERTIES PASS_REGULAR_EXPRESSION "36 5050" DEPENDS piped.1)
add_test(NAME begins COMMAND sh -c "echo ready >state")
add_test(NAME goes.on COMMAND sh -c "cat state | tr a-z A-Z")
add_test(NAME ends COMMAND rm state)
set_tests_properties(begins PROPERTIES FIXTURES_SETUP state)
set_tests_properties(goes.on PROPERTIES FIXTURES_REQUIRED state)
set_tests_properties(ends PROPERTIES FIXTURES_CLEANUP state)
END_OF_CMAKE
cat >"$project/main.c" <<'END_OF_C'
#include "words.h"
#include <stdio.h>
#include <stdlib.h>
int part1(void); int part2(void); int part3(void); int part4(void);
int part5(void); int part6(void); int part7(void); int part8(void);
int main(int argc, char **argv)
{
    int lines = 0, c;
    (void)argv;
    printf("%d %d\n", part1() + part2() + part3() + part4() + part5() + part6() + part7() + part8(),
        WORDS);
    if (argc > 1) {
        fflush(stdout);
        abort();
    }
    while ((c = getchar()) != EOF) {
        lines += c == '\n';
    }
    return printf("%d lines\n", lines) < 0;
}
END_OF_C
echo 'int main(void) { return undeclared; }' >"$project/broken.c"

# Times differ; steps that run side by side end in any order, so what they say is sorted, without
# their numbers.
cat >"$work/sorted.sh" <<'END_OF_SHELL'
cd "$work/build" 2>/dev/null || cd "$work" || exit 1
"$@" 2>&1 | sed -E '
    s/[0-9]+\.[0-9]+ s(ec)?/TIME/g
    s/ \(TIME\)//
    s/^\[ *[0-9]+(%|\/[0-9]+)\]/[STEP]/
    s/ (Start|Test) +#?[0-9]+:/ \1/
    s/^ *[0-9]+\/[0-9]+ //
    s/^Cleaning\.\.\. [0-9]+/Cleaning/' | sort
exit "${PIPESTATUS[0]}"
END_OF_SHELL
sorted() { # LABEL CODE COMMAND...
    label=$1 code=$2
    shift 2
    same "$label" bash "$work/sorted.sh" "$@"
}
generator() { # NAME
    rm -rf "$work/build"
    sorted "$1, configure" 0 cmake --fresh -S "$project" -B "$work/build" -G "$1"
    sorted "$1, build" 0 cmake --build "$work/build" --clean-first -j4
    sorted "$1, nothing to do" 0 cmake --build "$work/build" -j4
    sorted "$1, a build that fails" "$2" cmake --build "$work/build" --target broken
    sorted "$1, ctest" 8 ctest -j4 --output-on-failure
    sorted "$1, ctest verbose" 0 ctest -V -R 'piped|says|many'
    sorted "$1, ctest stops" 8 ctest --stop-on-failure -R 'fails|piped.12|crashes'
}
generator 'Unix Makefiles' 2
if command -v ninja >/dev/null; then
    generator Ninja 1
fi
finish
