#!/bin/sh
# libev.sh - Perl's EV: libev, with each waiting call of it
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

cat >"$work/flows.pl" <<'END_OF_PERL'
# Children at the other ends of pipes and pairs, each echoing; writes and reads in one loop.
use strict; use warnings; use EV; use Socket; use POSIX (); use IO::Handle; use Digest::MD5;
my (%flow, @keep, @codes);
for my $number (1 .. 6) {
    my ($ours_in, $ours_out, $their_in, $their_out);
    if ($number % 2) {
        pipe($their_in, $ours_out) or die $!;
        pipe($ours_in, $their_out) or die $!;
    } else {
        socketpair($ours_in, $their_in, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
        ($ours_out, $their_out) = ($ours_in, $their_in);
    }
    my $pid = fork // die $!;
    if (!$pid) { # dies with its descriptors
        undef %flow;
        close $ours_in;
        close $ours_out;
        while (sysread $their_in, my $data, 5000) {
            my $sent = 0;
            $sent += syswrite $their_out, uc $data, 5000, $sent while $sent < length $data;
        }
        POSIX::_exit($number);
    }
    close $their_in;
    close $their_out;
    $_->blocking(0) for $ours_in, $ours_out;
    my $flow = $flow{$number} = { data => join('', map { "$number line $_\n" } 1 .. 20000),
                                  sent => 0, got => '' };
    $flow->{write} = EV::io $ours_out, EV::WRITE, sub {
        my $size = syswrite $ours_out, $flow->{data}, 30000, $flow->{sent};
        $flow->{sent} += $size // 0;
        return if $flow->{sent} < length $flow->{data};
        delete $flow->{write};
        fileno $ours_in == fileno $ours_out ? shutdown $ours_out, 1 : close $ours_out;
    };
    $flow->{read} = EV::io $ours_in, EV::READ, sub {
        my $size = sysread $ours_in, $flow->{got}, 20000, length $flow->{got};
        delete $flow->{read} if defined $size && !$size;
    };
    push @keep, EV::child $pid, 0, sub { $codes[$number] = $_[0]->rstatus >> 8; $_[0]->stop };
}
EV::run;
printf "%d: %d %s, exit code %d\n", $_, length $flow{$_}{got}, Digest::MD5::md5_hex($flow{$_}{got}),
    $codes[$_] for sort keys %flow;
END_OF_PERL
cat >"$work/wakes.pl" <<'END_OF_PERL'
# Timers, signals, asyncs from handlers, a loop that lives on after fork, edges of full and empty.
use strict; use warnings; use EV; use POSIX (); use IO::Handle; use Time::HiRes;
my ($signals, $asyncs, $ticks, @order) = (0, 0, 0);
my $async = EV::async sub { $asyncs++ };
my $signal = EV::signal USR1 => sub {
    $async->send;
    if (++$signals == 30) { $_[0]->stop }
    elsif ($signals % 2) { kill USR1 => $$ }
    else { system 'kill -USR1 $PPID' }
};
my $tick = EV::timer 0.01, 0.01, sub { $_[0]->stop if ++$ticks == 10 };
my @timers = map { my $after = $_; EV::timer $after, 0, sub { push @order, $after } }
    0.09, 0.03, 0.06;
kill USR1 => $$;
EV::run EV::RUN_ONCE while $signals < 30 || $ticks < 10 || @order < 3;
EV::run EV::RUN_NOWAIT;
print "$signals signals, ", $asyncs > 0 ? 'asyncs' : 'none', ", $ticks ticks, @order\n";
undef $async;
# Both go on with the loop: each has a pipe of its own in it, and one that they share.
pipe(my $r, my $w) or die $!;
pipe(my $own_r, my $own_w) or die $!;
$_->blocking(0) for $r, $w;
my $shared = '';
my $reader = EV::io $r, EV::READ, sub { sysread $r, $shared, 100, length $shared; $_[0]->stop };
my $pid = fork // die $!;
if (!$pid) {
    EV::default_loop->loop_fork;
    $reader->stop;
    my $done;
    my $own = EV::io $own_r, EV::READ, sub { $done = sysread $own_r, my $data, 100; $_[0]->stop };
    my $later = EV::timer 0.05, 0, sub { syswrite $own_w, 'own' };
    EV::run;
    syswrite $w, 'child';
    POSIX::_exit($done);
}
my $status; # libev collects every child, asked or not
my $child = EV::child $pid, 0, sub { $status = $_[0]->rstatus >> 8; $_[0]->stop };
EV::run;
print "$shared, exit code $status\n";
my ($filled, $emptied) = (0, 0);
my $fill = EV::io $w, EV::WRITE, sub {
    $filled += syswrite $w, 'x' x 3000;
    if ($filled >= 300000) { $_[0]->stop; close $w }
};
my $empty = EV::io $r, EV::READ, sub {
    my $size = sysread $r, my $data, 1700;
    $emptied += $size;
    $_[0]->stop if !$size;
};
EV::run;
print $filled == $emptied ? "all came\n" : "$filled, $emptied\n";
END_OF_PERL
for method in 4 2 1; do # ev.h: EVBACKEND_EPOLL, _POLL, _SELECT
    for script in flows wakes; do
        loop "$script, backend $method" env "LIBEV_FLAGS=$method" perl "$work/$script.pl"
    done
done
finish
