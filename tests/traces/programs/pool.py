# A pool of three processes: results of several sizes, an error that comes back as an exception.
import multiprocessing


def work(number):
    if number == 7:
        raise ValueError("seven")
    return b"x" * (number * 30000)


def main():
    with multiprocessing.get_context("fork").Pool(3) as pool:
        sizes = [len(result) for result in pool.imap_unordered(work, range(6))]
        assert sorted(sizes) == [number * 30000 for number in range(6)]
        try:
            pool.apply(work, (7,))
        except ValueError:
            pass
        pool.close()
        pool.join()


main()
