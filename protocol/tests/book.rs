//! PROTOCOL.md says what the code does: its tables and its hex dumps are compared with both.

#[expect(dead_code, reason = "shared with the golden test")]
mod vectors;

use std::collections::BTreeSet;

use bellhop_protocol::op::Sender;
use bellhop_protocol::{Code, OpCode};

const BOOK: &str = include_str!("../../PROTOCOL.md");
const GOLDEN: &str = include_str!("golden.txt");

/// The rows of the table that begins with `header`, as trimmed cells without code marks.
fn table(header: &str) -> Vec<Vec<String>> {
    let start = BOOK.find(header).unwrap_or_else(|| panic!("PROTOCOL.md has no table {header}"));
    let rows = BOOK[start..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.replace("\\|", "\u{1}");
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', "").replace('\u{1}', "|"))
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_table_of_ops_is_the_code() {
    let sender = |op: &OpCode| match op.sender() {
        Sender::Client => "client",
        Sender::Server => "server",
        Sender::Both | Sender::Asked => "client, server",
    };
    let coded: Vec<Vec<String>> = OpCode::ALL
        .iter()
        .map(|op| vec![format!("{:02X}", op.byte()), op.name().into(), sender(op).into()])
        .collect();
    let written: Vec<Vec<String>> =
        table("| op | name | sent by | what for |").into_iter().map(|row| row[..3].to_vec()).collect();
    assert_eq!(written, coded);
}

#[test]
fn the_tables_of_both_families_hold_every_op_once() {
    let texts = table("| op | name | data | answer on success");
    let session = table("| op | name | sent by | data | answer on success");
    let written: Vec<String> = texts.iter().chain(&session).map(|row| row[1].clone()).collect();
    let coded: Vec<String> = OpCode::ALL.iter().map(|op| op.name().to_owned()).collect();
    assert_eq!(written, coded);
}

#[test]
fn the_table_of_codes_is_the_code() {
    let coded: Vec<Vec<String>> = Code::ALL
        .iter()
        .map(|code| vec![code.0.to_string(), code.word().expect("a known code").to_owned()])
        .collect();
    let written: Vec<Vec<String>> =
        table("| number | word | meaning |").into_iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(written, coded);
}

/// The blocks of text in fenced ```golden sections, or of golden.txt itself.
fn blocks(text: &str) -> BTreeSet<&str> {
    text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty()).collect()
}

#[test]
fn the_dumps_are_the_golden_bytes_and_show_every_op() {
    let golden = blocks(GOLDEN);
    let mut shown = BTreeSet::new();
    for section in BOOK.split("```golden\n").skip(1) {
        for block in blocks(section.split("```").next().unwrap_or_default()) {
            assert!(golden.contains(block), "not in golden.txt:\n{block}");
            shown.insert(block.split(' ').next().unwrap_or_default());
        }
    }
    let vectors = vectors::golden();
    let ops: BTreeSet<u8> = shown.iter().map(|name| vectors[*name].bytes[4]).collect();
    let all: BTreeSet<u8> = vectors.values().map(|vector| vector.bytes[4]).collect();
    assert_eq!(ops, all, "each op and each answer of golden.txt has a dump in PROTOCOL.md");
}
