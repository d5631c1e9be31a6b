/*
 * Proves: user memory can be copied by one small asm routine that survives a fault. It keeps the
 * bytes still to copy in %rcx and never uses the stack, so the SIGSEGV (and SIGBUS: a mapping
 * shorter than its file) handler only moves %rip to a label that returns %rcx. Bad source, bad
 * destination, page crossing, non-canonical pointers; a SIGSEGV somebody sent (si_code <= 0) goes
 * to the program's handler even while the routine runs; with SIGSEGV blocked the fault kills, there
 * process_vm_readv/writev on oneself give EFAULT or a short count instead.
 */
#include "proof.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>

/* Returns the bytes NOT copied, 0 = all. Up to 128 bytes: nothing stored before all is loaded. */
size_t proof_copy(void *to, const void *from, size_t size);
extern const char proof_copy_end[], proof_copy_fault[];

__asm__(".text\n"
        ".p2align 6\n"
        ".globl proof_copy, proof_copy_end, proof_copy_fault\n"
        ".type proof_copy, @function\n"
        "proof_copy:\n"
        "    mov %rdx, %rcx\n"
        "    cmp $16, %rdx\n"
        "    jb 4f\n"
        "    cmp $32, %rdx\n"
        "    ja 1f\n"
        "    movdqu (%rsi), %xmm0\n" /* 16..32 */
        "    movdqu -16(%rsi,%rdx), %xmm1\n"
        "    movdqu %xmm0, (%rdi)\n"
        "    movdqu %xmm1, -16(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "1:  cmp $64, %rdx\n"
        "    ja 2f\n"
        "    movdqu (%rsi), %xmm0\n" /* 33..64 */
        "    movdqu 16(%rsi), %xmm1\n"
        "    movdqu -32(%rsi,%rdx), %xmm2\n"
        "    movdqu -16(%rsi,%rdx), %xmm3\n"
        "    movdqu %xmm0, (%rdi)\n"
        "    movdqu %xmm1, 16(%rdi)\n"
        "    movdqu %xmm2, -32(%rdi,%rdx)\n"
        "    movdqu %xmm3, -16(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "2:  cmp $128, %rdx\n"
        "    ja 3f\n"
        "    movdqu (%rsi), %xmm0\n" /* 65..128 */
        "    movdqu 16(%rsi), %xmm1\n"
        "    movdqu 32(%rsi), %xmm2\n"
        "    movdqu 48(%rsi), %xmm3\n"
        "    movdqu -64(%rsi,%rdx), %xmm4\n"
        "    movdqu -48(%rsi,%rdx), %xmm5\n"
        "    movdqu -32(%rsi,%rdx), %xmm6\n"
        "    movdqu -16(%rsi,%rdx), %xmm7\n"
        "    movdqu %xmm0, (%rdi)\n"
        "    movdqu %xmm1, 16(%rdi)\n"
        "    movdqu %xmm2, 32(%rdi)\n"
        "    movdqu %xmm3, 48(%rdi)\n"
        "    movdqu %xmm4, -64(%rdi,%rdx)\n"
        "    movdqu %xmm5, -48(%rdi,%rdx)\n"
        "    movdqu %xmm6, -32(%rdi,%rdx)\n"
        "    movdqu %xmm7, -16(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "3:  cmp $1024, %rdx\n" /* above: rep movsb, which keeps %rcx exact */
        "    jae 8f\n"
        "    .p2align 4\n"
        "5:  movdqu (%rsi), %xmm0\n" /* 129..1023, 64 a round */
        "    movdqu 16(%rsi), %xmm1\n"
        "    movdqu 32(%rsi), %xmm2\n"
        "    movdqu 48(%rsi), %xmm3\n"
        "    movdqu %xmm0, (%rdi)\n"
        "    movdqu %xmm1, 16(%rdi)\n"
        "    movdqu %xmm2, 32(%rdi)\n"
        "    movdqu %xmm3, 48(%rdi)\n"
        "    add $64, %rsi\n"
        "    add $64, %rdi\n"
        "    sub $64, %rcx\n"
        "    cmp $64, %rcx\n"
        "    ja 5b\n"
        "    movdqu -64(%rsi,%rcx), %xmm0\n" /* the last 64, overlapping what is done */
        "    movdqu -48(%rsi,%rcx), %xmm1\n"
        "    movdqu -32(%rsi,%rcx), %xmm2\n"
        "    movdqu -16(%rsi,%rcx), %xmm3\n"
        "    movdqu %xmm0, -64(%rdi,%rcx)\n"
        "    movdqu %xmm1, -48(%rdi,%rcx)\n"
        "    movdqu %xmm2, -32(%rdi,%rcx)\n"
        "    movdqu %xmm3, -16(%rdi,%rcx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "8:  rep movsb\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "4:  cmp $8, %edx\n"
        "    jb 6f\n"
        "    mov (%rsi), %r8\n" /* 8..15 */
        "    mov -8(%rsi,%rdx), %r9\n"
        "    mov %r8, (%rdi)\n"
        "    mov %r9, -8(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "6:  cmp $4, %edx\n"
        "    jb 7f\n"
        "    mov (%rsi), %r8d\n" /* 4..7 */
        "    mov -4(%rsi,%rdx), %r9d\n"
        "    mov %r8d, (%rdi)\n"
        "    mov %r9d, -4(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "7:  test %edx, %edx\n"
        "    jz 9f\n"
        "    movzbl (%rsi), %r8d\n" /* 1..3: first, middle, last */
        "    shr $1, %edx\n"
        "    movzbl (%rsi,%rdx), %r9d\n"
        "    movzbl -1(%rsi,%rcx), %r10d\n"
        "    mov %r8b, (%rdi)\n"
        "    mov %r9b, (%rdi,%rdx)\n"
        "    mov %r10b, -1(%rdi,%rcx)\n"
        "9:  xor %eax, %eax\n"
        "    ret\n"
        "proof_copy_end:\n"
        "proof_copy_fault:\n"
        "    mov %rcx, %rax\n"
        "    ret\n"
        ".size proof_copy, . - proof_copy\n");

enum { PAGE = 4096, ROOM = 32 * PAGE };
static volatile int faults, sent_by_program;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)sig;
    if (info->si_code <= 0) {
        sent_by_program++; /* stands for the program's handler; the copy goes on afterwards */
    } else if ((uintptr_t)*rip - (uintptr_t)proof_copy <
               (uintptr_t)proof_copy_end - (uintptr_t)proof_copy) {
        faults++;
        *rip = (greg_t)(uintptr_t)proof_copy_fault;
    } else {
        _exit(5);
    }
}

static char *room_before_bad_page(void)
{
    char *room = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0);
    CHECK(room != MAP_FAILED && mprotect(room + ROOM, PAGE, PROT_NONE) == 0, "mmap");
    return room;
}

/* Every size and every place of the page boundary in it (large ones: some places). */
static void prove_crossing(char *from, char *to)
{
    static const size_t sizes[] = { 1,  2,  3,  4,  7,   8,   15,  16,  17,   31,   32,   33,
                                    63, 64, 65, 96, 128, 129, 200, 256, 1023, 1024, 5000, 70000 };
    for (size_t i = 0; i < ROOM; i++) {
        from[i] = (char)(i * 131 + i / 256);
    }
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        size_t size = sizes[k], step = size > 256 ? 97 : 1;
        for (size_t good = 0; good <= size; good += step) {
            memset(to, 0x55, ROOM);
            const char *at = from + ROOM - good;
            size_t left = proof_copy(to, at, size);
            CHECK((left == 0) == (good >= size) && left <= size, "size %zu good %zu", size, good);
            CHECK(memcmp(to, at, size - left) == 0 && to[size] == 0x55, "bytes, size %zu", size);
            char *end = to + ROOM - good;
            left = proof_copy(end, from, size);
            CHECK((left == 0) == (good >= size) && left <= size, "size %zu good %zu", size, good);
            CHECK(memcmp(end, from, size - left) == 0, "bytes, size %zu", size);
        }
    }
}

static void prove_odd_pointers(char *good)
{
    static const uint64_t bad[] = {
        0, 1, 0x7fffffffffffull, 0x8000000000000000ull, 0xffff888000000000ull, UINT64_MAX - 10
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        void *pointer = (void *)(uintptr_t)bad[i];
        for (size_t size = 1; size < 5000; size *= 3) {
            CHECK(proof_copy(good, pointer, size) == size, "from %p", pointer);
            CHECK(proof_copy(pointer, good, size) == size, "to %p", pointer);
        }
    }
    int fd = memfd_create("short", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0, "memfd");
    char *shorter = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(shorter != MAP_FAILED, "mmap");
    CHECK(proof_copy(good, shorter + PAGE, 64) == 64, "SIGBUS, source");
    CHECK(proof_copy(shorter + PAGE - 10, good, 2000) == 1990, "SIGBUS, destination");
    munmap(shorter, 2 * PAGE);
    close(fd);
}

/* With the signal blocked the kernel doesn't ask the handler: it kills. The other way serves. */
static double prove_blocked(char *from, char *to)
{
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t segv;
        sigemptyset(&segv);
        sigaddset(&segv, SIGSEGV);
        sigprocmask(SIG_BLOCK, &segv, NULL);
        struct iovec mine = { to, 64 }, theirs = { from + ROOM, 64 };
        if (process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0) != -1 || errno != EFAULT) {
            _exit(1);
        }
        theirs.iov_base = from + ROOM - 10;
        if (process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0) != 10) {
            _exit(2);
        }
        theirs.iov_base = to + ROOM - 10;
        if (process_vm_writev(getpid(), &mine, 1, &theirs, 1, 0) != 10) {
            _exit(3);
        }
        proof_copy(to, from + ROOM, 64);
        _exit(4);
    }
    int result = child_result(pid);
    if (result == 1 || result == 2) {
        printf("(process_vm_readv on oneself is denied here) ");
        return 0;
    }
    CHECK(result == 128 + SIGSEGV, "blocked SIGSEGV: %d", result);
    enum { ROUNDS = 20000 };
    int64_t start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct iovec mine = { to, 64 }, theirs = { from, 64 };
        CHECK(process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0) == 64, "process_vm_readv");
    }
    return (double)(now_ns() - start) / ROUNDS;
}

static volatile int sending_done;
enum { SENT = 300 };

static void *send_segv(void *arg)
{
    for (int i = 1; i <= SENT; i++) {
        pthread_kill(*(pthread_t *)arg, SIGSEGV);
        for (int64_t start = now_ns(); sent_by_program < i && now_ns() - start < 5000000000;) {
        }
    }
    sending_done = 1;
    return NULL;
}

static void prove_sent_signal(char *from, char *to)
{
    pthread_t self = pthread_self(), thread;
    int before = faults;
    CHECK(pthread_create(&thread, NULL, send_segv, &self) == 0, "thread");
    while (!sending_done) {
        memset(to, 0, 6000);
        CHECK(proof_copy(to, from, 6000) == 0 && memcmp(to, from, 6000) == 0, "copy cut short");
        CHECK(proof_copy(to, from + 9, 700) == 0 && memcmp(to, from + 9, 700) == 0, "cut short");
    }
    pthread_join(thread, NULL);
    CHECK(sent_by_program == SENT && faults == before, "%d of %d sent", sent_by_program, SENT);
}

static size_t by_memcpy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return 0;
}

static size_t by_rep_movsb(void *to, const void *from, size_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return size;
}

static double time_ns(size_t (*volatile copy)(void *, const void *, size_t), char *to, char *from,
                      size_t size)
{
    double best = 1e9;
    int rounds = size > 8192 ? 4000 : 100000;
    for (int round = 0; round < 5; round++) {
        int64_t start = now_ns();
        for (int i = 0; i < rounds; i++) {
            copy(to, from, size);
        }
        double took = (double)(now_ns() - start) / rounds;
        best = took < best ? took : best;
    }
    return best;
}

int main(void)
{
    static const size_t sizes[] = { 1, 8, 16, 64, 100, 256, 700, 1024, 4096, 65536 };
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0,
          "sigaction");
    char *from = room_before_bad_page(), *to = room_before_bad_page();
    prove_crossing(from, to);
    prove_odd_pointers(to);
    double vm_ns = prove_blocked(from, to);
    prove_sent_signal(from, to);
    int seen = faults;
    int64_t start = now_ns();
    for (int i = 0; i < 2000; i++) {
        proof_copy(to, from + ROOM, 64);
    }
    double fault_us = (double)(now_ns() - start) / 2000 / 1000;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        printf("  %5zu B: memcpy %.1f ns, this %.1f, rep movsb %.1f\n", sizes[i],
               time_ns(by_memcpy, to, from, sizes[i]), time_ns(proof_copy, to, from, sizes[i]),
               time_ns(by_rep_movsb, to, from, sizes[i]));
    }
    printf("%d faults survived (%.1f us each, SIGBUS and non-canonical too), %d sent SIGSEGVs "
           "passed on; "
           "blocked SIGSEGV kills, process_vm_readv of 64 B takes %.0f ns\n",
           seen, fault_us, sent_by_program, vm_ns);
    return 0;
}
