#!/bin/sh
# io_select.sh - Perl's IO::Select and IO::Poll over pipes and socket pairs, with fork
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

cat >"$work/gather.pl" <<'END_OF_PERL'
# Children write at their own pace; one select gathers all and sees each one's end.
use strict; use warnings; use IO::Select; use IO::Handle; use POSIX (); use Socket;
use Digest::MD5;
my $select = IO::Select->new;
my (%bytes, %name, @pids);
for my $child (1 .. 8) {
    my ($ours, $theirs);
    if ($child % 2) { pipe($ours, $theirs) or die $! }
    else { socketpair($ours, $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $! }
    my $pid = fork // die $!;
    if (!$pid) {
        close $ours;
        my $block = join '', map { chr(($_ * $child) % 251) } 1 .. 1000 * $child;
        for (1 .. 40) {
            my $sent = 0;
            while ($sent < length $block) { $sent += syswrite $theirs, $block, 7000, $sent }
        }
        POSIX::_exit($child);
    }
    close $theirs;
    push @pids, $pid;
    $name{fileno $ours} = $child;
    $select->add($ours);
}
while ($select->count) {
    for my $handle ($select->can_read(20)) {
        my $size = sysread $handle, $bytes{$name{fileno $handle}}, 16384,
            length($bytes{$name{fileno $handle}} // '');
        if (!$size) { $select->remove($handle); close $handle }
    }
}
print "$_: ", length $bytes{$_}, ' ', Digest::MD5::md5_hex($bytes{$_}), "\n" for sort keys %bytes;
print join(' ', map { waitpid($_, 0); $? >> 8 } @pids), "\n";
END_OF_PERL
cat >"$work/relay.pl" <<'END_OF_PERL'
# Reads and writes in one select: a source, a relay with a small buffer, a filter process.
use strict; use warnings; use IO::Select; use IO::Handle; use IPC::Open2; use POSIX ();
use Digest::MD5;
my $pid = open2(my $from, my $to, 'cat');
pipe(my $source, my $writer) or die $!;
my $child = fork // die $!;
if (!$child) {
    close $source;
    syswrite $writer, "line number $_\n" for 1 .. 20000;
    POSIX::_exit(0);
}
close $writer;
$_->blocking(0) for $to, $from, $source;
my ($buffer, $result, $done) = ('', '', 0);
my ($reads, $writes) = (IO::Select->new($source, $from), IO::Select->new);
until ($done) {
    my ($can_read, $can_write) = IO::Select->select($reads, $writes, undef, 20) or die 'time-out';
    for my $handle (@$can_read) {
        if ($handle == $from) {
            $done = 1 if !sysread $from, $result, 8192, length $result;
        } elsif (!sysread $source, $buffer, 3000, length $buffer) {
            $reads->remove($source);
            close $source;
            close $to if $buffer eq '';
        }
    }
    for my $handle (@$can_write) {
        my $size = syswrite $to, $buffer, 1000;
        substr $buffer, 0, $size, '';
        close $to if $buffer eq '' && !$reads->exists($source);
    }
    $buffer eq '' ? $writes->remove($to) : $writes->add($to);
    length $buffer > 5000 || !defined fileno $source ? $reads->remove($source)
                                                     : $reads->add($source);
}
waitpid $_, 0 for $pid, $child;
print length $result, ' ', Digest::MD5::md5_hex($result), " $?\n";
END_OF_PERL
cat >"$work/states.pl" <<'END_OF_PERL'
# What select and poll say of each state, and what ends them: time, a signal, a child.
use strict; use warnings; use IO::Select; use IO::Poll qw(POLLIN POLLOUT POLLHUP POLLERR);
use IO::Handle; use POSIX (); use Socket; use Time::HiRes qw(time sleep alarm);
sub count { scalar @{$_[0] // []} }
sub states { # of a handle: can read, can write, has an exception; what poll says
    my $select = IO::Select->new($_[0]);
    my @sets = IO::Select->select($select, $select, $select, 0);
    my $poll = IO::Poll->new;
    $poll->mask($_[0] => POLLIN | POLLOUT);
    $poll->poll(0);
    return join ' ', map({ count $sets[$_] } 0 .. 2), $poll->events($_[0]);
}
pipe(my $r, my $w) or die $!;
$w->blocking(0);
print 'empty: ', states($r), ', ', states($w), "\n";
syswrite $w, 'x';
print 'some: ', states($r), ', ', states($w), "\n";
1 while syswrite $w, 'x' x 4096;
print 'full: ', states($r), ', ', states($w), "\n";
sysread $r, my $data, 4096;
print 'room: ', states($r), ', ', states($w), "\n";
close $r;
print 'no reader: ', states($w), "\n";
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
print 'pair: ', states($a), "\n";
shutdown $b, 1;
print 'shut: ', states($a), ', ', states($b), "\n";
close $b;
print 'closed: ', states($a), "\n";
pipe($r, $w) or die $!;
my $start = time;
print 'time-out: ', count([IO::Select->new($r)->can_read(0.2)]), "\n";
print 'took its time: ', time - $start >= 0.19 && time - $start < 10 ? "yes\n" : "no\n";
$SIG{ALRM} = sub { print "alarm\n" };
alarm 0.1;
print 'signal: ', count([IO::Select->new($r)->can_read(20)]), ' ', $!{EINTR} + 0 > 0, "\n";
# A child's end wakes through the classic pipe to oneself.
pipe(my $own, my $self) or die $!;
$self->blocking(0);
$SIG{CHLD} = sub { syswrite $self, 'c' };
my $pid = fork // die $!;
if (!$pid) { select undef, undef, undef, 0.1; POSIX::_exit(5) }
my $select = IO::Select->new($own, $r);
my @ready;
1 until @ready = $select->can_read(20);
waitpid $pid, 0;
print 'child: ', $ready[0] == $own ? 'own pipe' : 'other', ' ', $? >> 8, "\n";
# Real descriptors beside emulated ones.
open my $null, '<', '/dev/null' or die $!;
$select->add($null);
sysread $own, $data, 10;
print 'mixed: ', join(' ', map { $_ == $null ? 'null' : 'other' } $select->can_read(20)), "\n";
syswrite $w, 'x';
print 'mixed: ', join(' ', sort map { $_ == $null ? 'null' : $_ == $r ? 'pipe' : 'other' }
    $select->can_read(20)), "\n";
END_OF_PERL
cat >"$work/pong.pl" <<'END_OF_PERL'
# A token between four processes, each in a select of its own over all its neighbours.
use strict; use warnings; use IO::Select; use IO::Handle; use POSIX (); use Socket;
my (@left, @right, @pids);
my ($count, $rounds) = (4, 500);
for my $number (0 .. $count - 1) {
    socketpair($left[$number], $right[$number], AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    $_->autoflush(1) for $left[$number], $right[$number];
}
for my $number (0 .. $count - 1) {
    my $pid = fork // die $!;
    if ($pid) { push @pids, $pid; next }
    my ($in, $out) = ($right[$number], $left[($number + 1) % $count]);
    my $select = IO::Select->new($in, $out);
    my $token = 0;
    while ($token + $count <= $count * $rounds) {
        my ($ready) = $select->can_read(20) or POSIX::_exit(1);
        POSIX::_exit(2) if $ready != $in;
        sysread $in, my $data, 4;
        $token = unpack 'N', $data;
        syswrite $out, pack 'N', $token + 1;
    }
    POSIX::_exit(unpack('N', pack 'N', $token) % 100);
}
syswrite $left[0], pack 'N', 1;
print join(' ', map { waitpid($_, 0); $? >> 8 } @pids), "\n";
sysread $right[0], my $data, 4;
print unpack('N', $data), "\n";
END_OF_PERL
for script in gather relay states pong; do
    loop "$script" perl "$work/$script.pl"
done
finish
