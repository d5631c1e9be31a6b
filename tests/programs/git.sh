#!/bin/sh
# git.sh - clone, fetch and push between local repositories of some hundred commits: by path, by
# file://, and by a stand-in for ssh; what git pipes to its own children. Also with a bare preload.
. "${0%/*}/compare.inc"

messages=same
preload=yes
HOME=$work GIT_CONFIG_NOSYSTEM=1
GIT_AUTHOR_NAME=tester GIT_AUTHOR_EMAIL=tester@example.com GIT_AUTHOR_DATE='@1000000000 +0000'
GIT_COMMITTER_NAME=tester GIT_COMMITTER_EMAIL=tester@example.com
GIT_COMMITTER_DATE='@1000000000 +0000'
export HOME GIT_CONFIG_NOSYSTEM work GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE \
    GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global protocol.file.allow always

# 400 commits, each changes some files; a side branch, tags, and one large file.
git init -q --bare "$work/origin.git"
awk 'BEGIN {
    print "blob\nmark :1\ndata <<END"
    for (n = 0; n < 60000; n++) print n * n
    print "END"
    for (c = 1; c <= 400; c++) {
        print "commit refs/heads/" (c % 10 ? "main" : "side")
        print "committer tester <tester@example.com> " 1000000000 + c " +0000"
        print "data <<END\ncommit " c "\nEND"
        if (c == 10) print "from refs/heads/main"
        if (c == 1) print "M 100644 :1 large"
        for (f = c % 7; f < 30; f += 7) {
            print "M 100644 inline folder" f % 3 "/file" f "\ndata <<END"
            for (n = 0; n < 40; n++) print c % (f + n + 2), "line", n
            print "END"
        }
        print ""
        if (c % 50 == 1) print "reset refs/tags/v" c "\nfrom refs/heads/main\n"
    }
}' | git -C "$work/origin.git" fast-import --quiet

# Stands for ssh: HOST COMMAND.
cat >"$work/ssh" <<'END_OF_SHELL'
#!/bin/sh
while case $1 in -*) ;; *) false ;; esac; do shift; done
shift
exec sh -c "$*"
END_OF_SHELL
chmod +x "$work/ssh"
GIT_SSH_COMMAND=$work/ssh GIT_SSH_VARIANT=simple
export GIT_SSH_COMMAND GIT_SSH_VARIANT

# Each starts in an empty folder. What is in a repository is told by the names of all its objects:
# packs depend on threads.
cat >"$work/functions" <<'END_OF_SHELL'
rm -rf "$work/here"
mkdir "$work/here"
cd "$work/here" || exit 1
origin=$work/origin.git
holds() { # REPOSITORY
    git -C "$1" fsck --no-progress && git -C "$1" for-each-ref | cksum
    git -C "$1" cat-file --batch-all-objects --batch-check | cksum
}
END_OF_SHELL
repository() { # LABEL SCRIPT
    same "$1" sh -c '. "$work/functions"; eval "$1"' sh "$2"
}
repository 'clone of a path' 'git clone "$origin" a; holds a; git -C a status -sb'
repository 'clone of a path, all copied' 'git clone --no-local "$origin" a; holds a
    git -C a log --oneline --graph --all | cksum'
repository 'clone of file://' 'git clone "file://$origin" a; holds a; find a/large -size +100k'
repository 'shallow, one branch' \
    'git clone --depth 5 -b side "file://$origin" a; git -C a log --format=%s
    git -C a fetch -q --unshallow; holds a'
repository 'clone by ssh' 'git clone -q --bare "somebody@example.com:$origin" a; holds a'
repository 'partial, objects come when wanted' 'git -C "$origin" config uploadpack.allowFilter true
    git clone -q --filter=blob:none --no-checkout "file://$origin" a
    git -C a show main:large | cksum; git -C a checkout -q side && git -C a status -sb'
repository 'push, fetch, pull with hooks' 'git clone -q --bare "$origin" hub
    printf "#!/bin/sh\ncat\necho from the hook >&2\n" >hub/hooks/pre-receive
    chmod +x hub/hooks/pre-receive; cp hub/hooks/pre-receive hub/hooks/post-receive
    git clone -q "file://$PWD/hub" a; git clone -q "file://$PWD/hub" b
    echo more >>a/large; git -C a commit -qam more; git -C a push origin main v1:refs/tags/again
    git -C b pull -q; git -C b log -1 --format=%s
    printf "#!/bin/sh\nexit 1\n" >hub/hooks/pre-receive
    git -C b commit -q --allow-empty -m refused; git -C b push -q; echo "push ends with $?"
    holds hub'
repository 'repack, gc, bundle, archive' 'git clone -q "$origin" a; cd a
    git repack -qadf --threads=2; git gc -q; holds .
    git bundle create -q ../bundle --all; git clone -q ../bundle ../b; holds ../b
    git archive --format=tar.gz v101 | tar -tzf - | cksum; git archive origin/side | cksum'
repository 'a submodule' 'git init -q a; cd a; git submodule --quiet add "file://$origin" part
    git commit -qm part; git clone -q --recurse-submodules "file://$PWD" ../b
    git -C ../b submodule status'
repository 'filters, textconv' 'git clone -q "$origin" a; cd a
    git log --format=%s | head -n 2
    echo "large filter=upper diff=count" >.git/info/attributes
    git config filter.upper.clean "tr 0-9 a-j"; git config filter.upper.smudge "tr a-j 0-9"
    git config diff.count.textconv "wc -l <"
    echo tail >>large; git commit -qam filtered; git show --format=%s --stat; git show | tail -n 4
    git checkout -q HEAD^; git checkout -q -; tail -n 1 large
    git grep -c "line 3" v101 | cksum; git blame folder0/file0 | cksum'
repository 'what is not there' 'git clone "$origin.not"; echo "ends with $?"
    git clone -q "file://$origin.not"; echo "ends with $?"
    git clone -q somebody@example.com:not/there; echo "ends with $?"'
finish
