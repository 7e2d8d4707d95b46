# SPDX-License-Identifier: GPL-2.0-only
package UML::MConsole;

use strict;
use warnings;
use Errno qw(EACCES EAGAIN ECONNREFUSED ECONNRESET EINTR ENOENT ENOTCONN ENOTDIR EPERM);
use Fcntl qw(:mode F_WRLCK F_UNLCK O_DIRECTORY O_NONBLOCK O_RDONLY SEEK_SET);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);
use Time::HiRes qw(time);

our $VERSION = '1.0';

use constant {
    MAGIC       => 0xcafebabe,
    PROTOCOL    => 2,
    LONGEST     => 511,     # bytes of a request
    ROOM        => 512,     # bytes of text in a packet, the NUL included
    ADDRESS     => 107,     # bytes of a path in an address
    LOOK_EVERY  => 1,       # seconds after which a silent instance is looked at
    O_PATH      => 010000000,
    F_OFD_GETLK => 36,
};

# ---- finding instances ----

sub _fail {
    my ($kind, $text, $errno) = @_;
    die UML::MConsole::Error->new($kind, $text, $errno);
}

# The folders in which instances have theirs; other users may write to those that are shared.
sub _places {
    my ($uml_dir) = @_;
    return ({ path => $uml_dir }) if defined $uml_dir;
    my @places;
    push @places, { path => "$ENV{HOME}/.uml" } if ($ENV{HOME} // '') =~ m{^/};
    push @places, { path => "$ENV{XDG_RUNTIME_DIR}/uml" } if ($ENV{XDG_RUNTIME_DIR} // '') =~ m{^/};
    push @places, { path => "/tmp/uml-$>", shared => 'itself' },
        { path => '/tmp/uml', shared => 'below' };
    return @places;
}

sub _is_trusted {
    my ($place, $folder) = @_;
    return 1 if !$place->{shared};
    return _is_safe($place->{path}, 0) if $place->{shared} eq 'itself';
    return _is_safe($place->{path}, S_ISVTX) && _is_safe($folder, 0);
}

# Only this user or root may change it; with the mode $sticky others may not replace what is in it.
sub _is_safe {
    my ($path, $sticky) = @_;
    my @status = lstat $path;
    return @status && S_ISDIR($status[2]) && ($status[4] == $> || $status[4] == 0) &&
        (!($status[2] & 022) || $status[2] & $sticky);
}

# Connects by the folder's descriptor when the path is too long for an address.
sub _connect {
    my ($socket, $path) = @_;
    return connect($socket, pack_sockaddr_un($path)) if length $path <= ADDRESS;
    my ($folder, $name) = $path =~ m{^(.*)/([^/]+)$}s or return;
    sysopen(my $at, $folder, O_PATH | O_DIRECTORY) or return;
    return connect($socket, pack_sockaddr_un('/proc/self/fd/' . fileno($at) . "/$name"));
}

sub _socket {
    my ($path) = @_;
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or return;
    $socket->blocking(0);
    return _connect($socket, $path) ? $socket : undef;
}

# 'lives', or the kind of error that opening the socket would be.
sub _look_at_socket {
    my ($path) = @_;
    my @status = stat $path;
    return $! == EACCES ? 'denied' : 'nobody' if !@status;
    return 'nobody' if !S_ISSOCK($status[2]);
    return 'lives' if _socket($path);
    return $! == ECONNREFUSED ? 'dead' : $! == EACCES || $! == EPERM ? 'denied' : 'nobody';
}

my %rank = (lives => 3, dead => 2, denied => 1, nobody => 0);

# (path of the socket, 'lives' or what is wrong)
sub _find {
    my ($name, $uml_dir) = @_;
    my ($best, $state, @paths) = ('', 'nobody');
    if ($name =~ m{^[^./][^/]*$}s) {
        for my $place (_places($uml_dir)) {
            push @paths, "$place->{path}/$name/mconsole"
                if _is_trusted($place, "$place->{path}/$name");
        }
    }
    push @paths, $name, "$name/mconsole" if $name ne '';
    for my $path (@paths) {
        my $found = _look_at_socket($path);
        ($best, $state) = ($path, $found) if $rank{$found} > $rank{$state};
    }
    return ($best, $state);
}

# (pid, whether its owner holds the lock)
sub _pid {
    my ($folder) = @_;
    sysopen(my $file, "$folder/pid", O_RDONLY | O_NONBLOCK) or return (0, 0);
    my $lock = pack('s s x![q] q q l x![q]', F_WRLCK, SEEK_SET, 0, 0, 0);
    my $is_held = fcntl($file, F_OFD_GETLK, $lock) && (unpack 's', $lock)[0] != F_UNLCK;
    my $line = <$file> // '';
    return ($line =~ /^(\d+)/ ? $1 : 0, $is_held ? 1 : 0);
}

sub list {
    my ($class, %options) = @_;
    my (%seen, @found);
    for my $place (_places($options{uml_dir})) {
        opendir(my $folder, $place->{path}) or next;
        for my $name (sort grep { !/^\./ } readdir $folder) {
            my $path = "$place->{path}/$name";
            next if !_is_trusted($place, $path) || $seen{$path}++ || !-d $path;
            my ($pid, $is_held) = _pid($path);
            my $state = _look_at_socket("$path/mconsole");
            next if $state eq 'nobody' && !$pid && !$is_held;
            $state = $is_held || $state eq 'lives' ? 'running'
                : $state eq 'denied' ? 'unknown' : 'dead';
            push @found, { name => $name, folder => $path, pid => $pid, state => $state };
        }
    }
    return sort { $a->{name} cmp $b->{name} || $a->{folder} cmp $b->{folder} } @found;
}

# ---- an instance ----

my %wrong = (
    nobody => 'there is no such instance',
    dead   => 'the instance does not run any more',
    denied => 'the instance belongs to another user',
);

sub new {
    my ($class, $name, %options) = @_;
    _fail('usage', 'new: the umid or the path of an instance is wanted') if !defined $name;
    my ($path, $state) = _find($name, $options{uml_dir});
    _fail($state, "$name: $wrong{$state}") if $state ne 'lives';
    my $self = bless {
        name    => $name,
        path    => $path,
        timeout => exists $options{timeout} ? $options{timeout} : 10,
    }, ref $class || $class;
    $self->_open;
    return $self;
}

sub name { return $_[0]{name} }
sub path { return $_[0]{path} }

sub timeout {
    my ($self, @value) = @_;
    $self->{timeout} = $value[0] if @value;
    return $self->{timeout};
}

# A new socket for each answer that was not read to its end: late packets do not come to it.
sub _open {
    my ($self) = @_;
    my $socket = _socket($self->{path});
    # An address without a name: the host chooses an abstract one.
    if (!$socket || !bind($socket, pack('S', AF_UNIX))) {
        my $kind = $! == EACCES || $! == EPERM ? 'denied'
            : $! == ENOENT || $! == ECONNREFUSED ? 'gone' : 'system';
        _fail($kind, "$self->{name}: $!", $! + 0);
    }
    $self->{socket} = $socket;
    return;
}

# Waits until the socket can be read (or written); dies after the time limit.
sub _wait {
    my ($self, $limit, $for_writing) = @_;
    my $end = defined $limit ? time + $limit : undef;
    while (1) {
        my $left = defined $end ? $end - time : LOOK_EVERY;
        $left = 0 if $left < 0;
        vec(my $bits = '', fileno($self->{socket}), 1) = 1;
        my ($read, $write) = $for_writing ? (undef, $bits) : ($bits, undef);
        my $ready = select($read, $write, undef, $left < LOOK_EVERY ? $left : LOOK_EVERY);
        return if $ready > 0;
        if (_look_at_socket($self->{path}) =~ /nobody|dead/) {
            return if select(my $last = $bits, undef, undef, 0) > 0;
            _fail('gone', "$self->{name}: the instance ended before it had answered");
        }
        _fail('timeout', "$self->{name}: no answer in time: $limit s")
            if defined $end && time >= $end;
    }
}

sub _send {
    my ($self, $text, $limit) = @_;
    my $packet = pack('L L L a' . ROOM, MAGIC, PROTOCOL, length $text, $text);
    until (defined send($self->{socket}, $packet, 0)) {
        next if $! == EINTR;
        _fail('gone', "$self->{name}: the instance has ended")
            if $! == ECONNREFUSED || $! == ECONNRESET || $! == ENOTCONN;
        _fail('system', "$self->{name}: $!", $! + 0) if $! != EAGAIN;
        $self->_wait($limit, 1);
    }
    return;
}

# (error, whether others follow, text) of the next packet
sub _receive {
    my ($self, $limit) = @_;
    my $packet;
    until (defined recv($self->{socket}, $packet, 4096, 0)) {
        _fail('gone', "$self->{name}: the instance has ended")
            if $! == ECONNREFUSED || $! == ECONNRESET;
        _fail('system', "$self->{name}: $!", $! + 0) if $! != EAGAIN && $! != EINTR;
        $self->_wait($limit);
    }
    _fail('strange', "$self->{name}: the answer is not of the protocol's version 2")
        if length $packet < 12 || length $packet > 12 + ROOM;
    my ($error, $more, $length) = unpack 'L3', $packet;
    my $text = substr $packet, 12, $length;
    $text =~ s/\0\z//;
    return ($error, $more, $text);
}

# Calls $each with the error and the text of each packet.
sub _talk {
    my ($self, $text, $limit, $each) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    _fail('usage', 'a request has at most ' . LONGEST . " bytes, this has " . length $text)
        if length $text > LONGEST;
    _fail('usage', 'a request ends with its first NUL') if $text =~ /\0/;
    $self->_open if !$self->{is_answered} && exists $self->{is_answered};
    $self->{is_answered} = 0;
    $self->_send($text, $limit);
    my $more = 1;
    while ($more) {
        (my $error, $more, my $part) = $self->_receive($limit);
        $self->{is_answered} = 1 if !$more;
        $each->($error, $part);
    }
    return;
}

sub request {
    my ($self, @words) = @_;
    my ($error, $answer) = (0, '');
    $self->_talk(join(' ', @words), $self->{timeout}, sub {
        $error ||= $_[0];
        $answer .= $_[1];
    });
    _fail('kernel', $answer, $error) if $error;
    return $answer;
}

# ---- the commands of the kernel ----

for my $command (qw(version help halt reboot cad sysrq stop go log remove proc stack)) {
    no strict 'refs';
    *$command = sub { my ($self, @words) = @_; return $self->request($command, @words) };
}

sub config {
    my ($self, $device, $value) = @_;
    return $self->request('config', defined $value ? "$device=$value" : $device);
}

# (exit status, output)
sub exec {
    my ($self, $command, %options) = @_;
    my ($status, $output, $has_begun, $is_refused) = (0, '');
    $self->_talk("exec $command", $options{timeout}, sub {
        my ($error, $text) = @_;
        # An error with a text, and nothing before it: the command was not run.
        $is_refused = !$has_begun++ && $error && $text ne '';
        $status = $error;
        $output .= $text;
        $options{output}->($text) if $options{output} && !$is_refused && $text ne '';
    });
    _fail('kernel', $output, $status) if $is_refused;
    return ($status, $output);
}

package UML::MConsole::Error;

use strict;
use warnings;
use overload '""' => sub { $_[0]{text} . ($_[0]{where} // '') }, fallback => 1;

sub new {
    my ($class, $kind, $text, $errno) = @_;
    # Where the program called this module.
    my ($depth, @caller) = (0);
    do { @caller = caller $depth++ } while @caller && $caller[0] =~ /^UML::MConsole/;
    my $where = @caller ? " at $caller[1] line $caller[2].\n" : "\n";
    return bless { kind => $kind, text => $text, errno => $errno // 0, where => $where }, $class;
}

sub kind  { return $_[0]{kind} }
sub text  { return $_[0]{text} }
sub errno { return $_[0]{errno} }

1;

__END__

=encoding utf8

=head1 NAME

UML::MConsole - send commands to User-Mode Linux instances

=head1 SYNOPSIS

    use UML::MConsole;

    my $alice = UML::MConsole->new('alice');
    print $alice->version, "\n";
    $alice->sysrq('s');
    $alice->config('ubd1', '/srv/data.img');
    my ($status, $output) = $alice->exec('df -h');

    for my $instance (UML::MConsole->list) {
        print "$instance->{name}: process $instance->{pid}\n" if $instance->{state} eq 'running';
    }

    eval { $alice->remove('ubd1') };
    warn $@->text if ref $@ && $@->kind eq 'kernel';

=head1 DESCRIPTION

Each instance answers commands on a socket in its folder. An instance is looked for by its umid in
F<$HOME/.uml>, F<$XDG_RUNTIME_DIR/uml>, F</tmp/uml-E<lt>uidE<gt>> and F</tmp/uml>, unless C<uml_dir>
names another folder. In the last two, what belongs to other users is passed over. A name may also
be the path of a socket, or of a folder with one.

=head1 METHODS

=head2 new(name, option => value...)

Opens the console of a running instance. Options: C<uml_dir>, and C<timeout>, the seconds without a
packet after which a request fails: 10, or undef for no limit.

=head2 list(option => value...)

Returns a hash for each instance of this user, with C<name>, C<folder>, C<pid> (0: unknown) and
C<state>: C<running>, C<dead> for the folder of a killed instance, or C<unknown> for an instance
of another user. Option: C<uml_dir>.

=head2 request(word...)

Sends the words with blanks between them, and returns the answer. A request has at most 511 bytes.

=head2 version, help, halt, reboot, cad, stop, go

The kernel's commands of these names. They return the answer.

=head2 sysrq(letter), log(text), proc(file), stack(pid), remove(device)

The same with an argument.

=head2 config(device), config(device, value)

Returns a device's configuration, or sets it. Names of files should be absolute: the instance has
another working directory.

=head2 exec(command, option => value...)

Runs a command in the guest; returns its exit status and its output. Options: C<output>, a function
that is called with each part of the output as it comes; C<timeout>, in seconds without output:
there is no limit by default.

=head2 name, path, timeout, timeout(seconds)

The name that was given to new(), the path of the socket, and the time limit.

=head1 ERRORS

Methods die with an object of UML::MConsole::Error, which is a line as a string. Its methods are
C<text>, C<errno> (the number that the kernel sent, as a rule 1; of errno(3) when a system call
failed; else 0), and C<kind>:

=over

=item C<kernel>: the kernel answered with an error; text is its reason

=item C<nobody>: there is no such instance

=item C<dead>: its folder is there, but it does not run

=item C<denied>: it belongs to another user

=item C<timeout>: no answer in time

=item C<gone>: it ended before it had answered

=item C<strange>: the answer is not of this protocol

=item C<usage>: wrong arguments, such as a request that is too long

=item C<system>: a system call failed

=back

=head1 SEE ALSO

uml_mconsole(1), libmconsole(3)

=cut
