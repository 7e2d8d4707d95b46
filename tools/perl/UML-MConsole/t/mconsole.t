# SPDX-License-Identifier: GPL-2.0-only
# UML::MConsole against a stand-in for an instance, a child process that answers as told.
use strict;
use warnings;
use Fcntl qw(F_WRLCK SEEK_SET O_CREAT O_RDWR);
use File::Temp qw(tempdir);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);
use Test::More;

use UML::MConsole;

use constant F_OFD_SETLK => 37;

my $home = tempdir(CLEANUP => 1);
$ENV{HOME} = $home;
delete $ENV{XDG_RUNTIME_DIR};
mkdir "$home/.uml" or die $!;

my $record = "$home/record";    # the requests that came, a line each

sub reply {
    my ($error, $more, $text) = @_;
    return pack 'L3 a512', $error, $more, 1 + length $text, $text;
}

# What the stand-in sends for a request: packets, or numbers of seconds to wait.
sub answers {
    my ($text) = @_;
    return reply(0, 0, 'Linux alice 6.12') if $text eq 'version';
    return map { reply(0, $_ < 300, "part $_\n") } 1 .. 300 if $text eq 'proc long';
    return () if $text eq 'silence';
    return (0.4, reply(0, 1, 'late'), reply(0, 0, 'later')) if $text eq 'slow';
    return 'tiny' if $text eq 'strange';
    return (reply(0, 1, "out\n"), reply(0, 1, "err\n"), reply(3, 0, '')) if $text eq 'exec false';
    return reply(11, 0, 'too many') if $text eq 'exec refused';
    return reply(0, 0, "a\0b\0") if $text eq 'proc bytes';
    return (reply(0, 1, 'half'), reply(5, 0, ' broken')) if $text eq 'proc broken';
    return reply(0, 0, '') if $text =~ /^(halt|log|config|sysrq)/;
    return reply(22, 0, 'no such command');
}

sub serve {
    my ($socket) = @_;
    while (1) {
        my $client = recv $socket, my $packet, 4096, 0;
        my ($magic, $version, $length) = unpack 'L3', $packet;
        my $text = substr $packet, 12, $length;
        open my $to, '>>', $record or die $!;
        printf $to "%s %x %d %d\n", $text, $magic, $version, length $packet;
        close $to;
        for my $part (answers($text)) {
            if ($part =~ /^[\d.]+\z/) { select undef, undef, undef, $part }
            else { send $socket, $part, 0, $client }
        }
    }
}

# The stand-in's process; its folder is in ~/.uml.
sub start {
    my ($name) = @_;
    my $folder = "$home/.uml/$name";
    mkdir $folder;
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
    unlink "$folder/mconsole";
    bind $socket, pack_sockaddr_un("$folder/mconsole") or die $!;
    my $pid = fork // die $!;
    if (!$pid) {
        alarm 300;      # it does not outlive a test that was killed
        sysopen(my $file, "$folder/pid", O_RDWR | O_CREAT, 0644) or die $!;
        my $lock = pack 's s x![q] q q l x![q]', F_WRLCK, SEEK_SET, 0, 0, 0;
        fcntl $file, F_OFD_SETLK, $lock or die $!;
        syswrite $file, "$$\n";
        serve($socket);
    }
    for (1 .. 1000) { last if -s "$folder/pid"; select undef, undef, undef, 0.01 }
    return $pid;
}

sub end { my ($pid) = @_; kill KILL => $pid; waitpid $pid, 0 }

sub last_request { open my $from, '<', $record or die $!; my @lines = <$from>; return $lines[-1] }

# The error of a piece of code: its kind and text.
sub fails {
    my ($code, $kind, $text, $sentence) = @_;
    eval { $code->() };
    my $error = $@;
    my $right = ref $error && $error->kind eq $kind && $error->text =~ $text;
    ok($right, $sentence) or diag(ref $error ? $error->kind . ": $error" : "no error: $error");
    return $error;
}

my $server = start('alice');
my $alice = UML::MConsole->new('alice');
is($alice->version, 'Linux alice 6.12', 'version is asked');
is(last_request(), "version cafebabe 2 524\n", 'by a packet of version 2');
is($alice->name, 'alice', 'the name is known');
is($alice->path, "$home/.uml/alice/mconsole", 'and the path');
is($alice->request('proc', 'long'), join('', map { "part $_\n" } 1 .. 300),
    'an answer of many packets is whole');
is($alice->proc('bytes'), "a\0b\0", 'bytes come as they are');
$alice->log('some text');
like(last_request(), qr/^log some text /, 'log sends a text');
$alice->config('ubd0', '/x');
like(last_request(), qr{^config ubd0=/x }, 'config sets a device');
$alice->config('ubd0');
like(last_request(), qr/^config ubd0 /, 'or asks for it');
$alice->sysrq('s');
like(last_request(), qr/^sysrq s /, 'sysrq sends a letter');

my $error = fails(sub { $alice->stack(1) }, 'kernel', qr/^no such command$/,
    'an error of the kernel is an exception with its text');
is($error->errno, 22, 'and its number');
like("$error", qr/^no such command at \S+mconsole\.t line \d+\.$/, 'as a string it says where');
fails(sub { $alice->proc('broken') }, 'kernel', qr/broken/, 'also when it is in the last packet');
fails(sub { $alice->request('strange') }, 'strange', qr/protocol/, 'a packet that is no reply');
is($alice->version, 'Linux alice 6.12', 'after which the next request works');
fails(sub { $alice->request('x' x 512) }, 'usage', qr/at most 511/, 'a request that is too long');
fails(sub { $alice->request("a\0b") }, 'usage', qr/NUL/, 'a request with a NUL in it');

$alice->timeout(0.1);
fails(sub { $alice->request('silence') }, 'timeout', qr/no answer in time: 0\.1 s/,
    'the time limit ends a request without an answer');
fails(sub { $alice->request('slow') }, 'timeout', qr/in time/, 'also one that is late');
$alice->timeout(10);
is($alice->version, 'Linux alice 6.12', 'a late answer is not taken for that of the next request');

my @parts;
is_deeply([$alice->exec('false', output => sub { push @parts, @_ })], [3, "out\nerr\n"],
    'exec returns the exit status and the output');
is_deeply(\@parts, ["out\n", "err\n"], 'which a function gets as it comes');
fails(sub { $alice->exec('refused') }, 'kernel', qr/too many/, 'a command that is not run');

my $second = start('bob');
my %listed = map { $_->{name} => $_ } UML::MConsole->list;
is_deeply([sort keys %listed], ['alice', 'bob'], 'list has the instances');
is_deeply([@{ $listed{bob} }{qw(pid state folder)}], [$second, 'running', "$home/.uml/bob"],
    'with pid, state and folder');
my $bob = UML::MConsole->new("$home/.uml/bob");
is($bob->version, 'Linux alice 6.12', 'an instance may be named by its folder');
end($second);
fails(sub { $bob->version }, 'gone', qr/./, 'an instance that has gone is an exception');
fails(sub { UML::MConsole->new('bob') }, 'dead', qr/not run/, 'a dead one is not opened');
%listed = map { $_->{name} => $_ } UML::MConsole->list(uml_dir => "$home/.uml");
is($listed{bob}{state}, 'dead', 'and is told apart in the list');
fails(sub { UML::MConsole->new('carol') }, 'nobody', qr/no such instance/,
    'one that is not there is an exception');
fails(sub { UML::MConsole->new('alice', uml_dir => '/nonexistent') }, 'nobody', qr/no such/,
    'uml_dir is looked into, and no other folder');

# /tmp/uml cannot be made in a test.
mkdir $_ or die $! for "$home/shared", "$home/shared/dora";
for my $case ([0755, 1, 'is looked at'], [01777, 1, 'also with the sticky bit'],
    [0777, 0, 'not where others may replace it']) {
    my ($mode, $is_trusted, $sentence) = @$case;
    chmod $mode, "$home/shared" or die $!;
    is(UML::MConsole::_is_trusted({ path => "$home/shared", shared => 'below' },
        "$home/shared/dora") ? 1 : 0, $is_trusted,
        "an instance in a folder of all users: $sentence");
}
end($server);
done_testing();
