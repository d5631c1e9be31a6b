#!/bin/sh
# node.sh - Node: child_process (node/children.js) and cluster (node/cluster.js)
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

messages=same
export NODE_NO_WARNINGS=1
same 'child_process' node "${0%/*}/node/children.js"
waits_emulated 'child_process'
for policy in rr none; do
    same "cluster, $policy" node "${0%/*}/node/cluster.js" "$policy"
    waits_emulated "cluster, $policy"
done
same 'node at both ends of a pipe' sh -c "
    node -e 'for (let i = 0; i < 30000; i++) console.log(i)' |
        node -e 'process.stdin.pipe(process.stdout)' | md5sum
    echo 6 | node -p 'require(\"fs\").readFileSync(0, \"utf8\") * 7'"
finish
