//! The models, each in many orders of its threads.

use model::{pipe, replies, threads};

/// In `orders` random orders, and in as many that change threads seldom: the two find different faults.
fn check(model: fn(), orders: usize) {
    shuttle::check_random(model, orders);
    shuttle::check_pct(model, orders, 3);
}

#[test]
fn replies_arrive() {
    check(replies::arrive, 2000);
}

#[test]
fn a_reply_wakes_a_task_that_blocks() {
    check(replies::a_task_blocks, 2000);
}

#[test]
fn a_reply_arrives_after_the_end_of_the_first_event_loop() {
    check(replies::an_event_loop_ends, 2000);
}

#[test]
fn a_writer_hears_of_its_reader() {
    check(pipe::without_disk, 2000);
}

#[test]
fn a_writer_with_a_file_hears_of_its_reader() {
    check(pipe::with_disk, 1000);
}

#[test]
fn the_event_loop_never_waits_for_the_lock() {
    check(pipe::the_event_loop_never_waits_for_the_lock, 2000);
}

#[test]
fn threads_run_each_job() {
    check(threads::run_jobs, 2000);
}

#[test]
fn threads_that_hold_a_lock_run_each_job() {
    check(threads::hold_a_lock, 2000);
}

#[test]
fn where_threads_are_refused_no_job_is_forgotten() {
    check(threads::are_refused, 2000);
}
