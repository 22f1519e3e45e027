//! Which devices have a session, receive and are known.

use super::*;

#[test]
fn a_device_has_one_session() {
    let mut bench = Bench::new();
    bench.send("one");
    let (old, old_pipe) = bench.open(1);
    let (id, pipe) = (SessionId(77), Pipe::new());
    let replaced = bench.mailbox.attach(id, Some(device(1)), pipe, 8, NOW, &mut bench.effects).unwrap();
    assert!(replaced.is_some_and(|outlet| Rc::ptr_eq(&outlet.0, &old_pipe.0)));
    assert!(!bench.mailbox.is_attached(old) && bench.mailbox.is_attached(id));
    bench.ack(old, &[(1, 1)]);
    assert_eq!(bench.kept(), [1], "the old session has no say any more");
}

#[test]
fn the_ninth_session_is_refused() {
    let mut bench = Bench::new();
    (0..8).for_each(|_| drop(bench.text()));
    let refused =
        bench.mailbox.attach(SessionId(9), Some(device(1)), Pipe::new(), 8, NOW, &mut Effects::default());
    assert_eq!(refused.unwrap_err().code, Code::TOO_MANY_SESSIONS);
}

#[test]
fn a_device_not_seen_for_thirty_days_holds_nothing_back() {
    let mut bench = Bench::new();
    let (lost, _) = bench.open(1);
    bench.mailbox.detach(lost, NOW);
    let (id, _) = bench.open(2);
    bench.send("one");
    bench.ack(id, &[(1, 1)]);
    assert_eq!(bench.kept(), [1]);
    bench.mailbox.stop_unseen(NOW + UNSEEN_MS_MAX, &mut bench.effects);
    assert_eq!(bench.kept(), [1]);
    bench.mailbox.stop_unseen(NOW + UNSEEN_MS_MAX + 1, &mut bench.effects);
    assert!(bench.kept().is_empty());
}

#[test]
fn a_seventeenth_device_stops_the_longest_unseen() {
    let mut bench = Bench::new();
    for number in 1..=17 {
        let (id, _) = bench.open(number);
        bench.mailbox.detach(id, NOW + u64::from(number));
    }
    let receiving: Vec<u8> = bench
        .mailbox
        .devices()
        .iter()
        .filter(|device| device.receiving)
        .map(|device| device.id.0[0])
        .collect();
    assert_eq!(receiving, (2..=17).collect::<Vec<u8>>());
}

#[test]
fn a_sixty_fifth_device_is_forgotten_with_its_receipts_but_not_what_it_had() {
    let mut bench = Bench::new();
    let (first, _) = bench.open(1);
    bench.send_wanted("one");
    bench.ack(first, &[(1, 1)]);
    bench.mailbox.take_owed();
    bench.receipt(Some(1), ReceiptState::Delivered);
    bench.mailbox.detach(first, NOW);
    let (keeper, _) = bench.open(100);
    for number in 2..=64 {
        let (id, _) = bench.attach(Some(number));
        bench.mailbox.detach(id, NOW + u64::from(number));
    }
    assert_eq!(bench.mailbox.take_lost(), [device(1)]);
    assert_eq!((bench.kept(), bench.effects.receipts_ended), (vec![], 1));
    bench.send_wanted("two");
    bench.ack(keeper, &[(3, 3)]);
    assert_eq!(bench.mailbox.take_owed().len(), 1);
}
