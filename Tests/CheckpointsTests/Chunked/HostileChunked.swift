import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Makes the files of `fixtures/hostile/kcf`, each of which breaks or stretches one rule of
/// `formats/kcf.md`; names begin with the section.
enum HostileChunked {
  /// A change of a file, after which checksums and digests are made right again, or not.
  private static func edit(
    _ file: [UInt8],
    mending: Bool = true,
    _ change: (inout [UInt8]) -> Void
  ) -> [UInt8] {
    var bytes = file
    change(&bytes)
    return mending ? ChunkedForgery(bytes)?.bytes ?? bytes : bytes
  }

  /// The files by name, made of golden files.
  static func files() throws -> [String: [UInt8]] {
    let example = try read(fixture("kcf/example.kcf"))
    let generations = try read(fixture("kcf/generations.kcf"))
    let delta = try read(fixture("kcf/delta.kcf"))
    var files: [String: [UInt8]] = [:]
    /// Sets a number of `width` bytes of the example.
    func set(_ name: String, _ place: Int, _ width: Int, to values: [UInt64]) {
      for value in values {
        files["\(name)-\(spelled(value)).kcf"] = edit(example) {
          $0.put(value, at: place, width: width)
        }
      }
    }
    files["1-empty.kcf"] = []
    for length in [1, 8, 63, 64, 128, 256, 384, 511] {
      files["1-cut-\(length).kcf"] = Array(example[..<length])
    }
    files["1-one-byte-more.kcf"] = example + [0]
    files["1-64-zeros-more.kcf"] = example + [UInt8](repeating: 0, count: 64)
    files["1-file-behind-file.kcf"] = example + example
    files["1-ok.kcf"] = example
    // The head: places and values that only its checksum kept away.
    for place in [0, 1, 4, 7] { files["2-mark-\(place).kcf"] = edit(example) { $0[place] ^= 0x20 } }
    set("2-major", 8, 2, to: [0, 2, 65_535])
    set("2-minor-ok", 10, 2, to: [1, 65_535])
    set("2-features", 12, 4, to: [1, 1 << 31])
    set("2-append-features-ok", 16, 4, to: [1, 1 << 31])
    set("2-chunk-size", 20, 1, to: [0, 19, 21, 255])
    set("2-alignment", 21, 1, to: [0, 5, 12])
    set("2-checksum-kind", 22, 1, to: [0, 2])
    set("2-digest-kind", 23, 1, to: [0, 2])
    for place in [24, 40, 59] { set("2-reserved-\(place)", place, 1, to: [1]) }
    files["2-checksum.kcf"] = edit(example, mending: false) { $0[60] ^= 1 }
    // The record at 64 and its entry at 256.
    for place in [64, 67] { files["3-mark-\(place).kcf"] = edit(example) { $0[place] ^= 1 } }
    files["3-checksum.kcf"] = edit(example, mending: false) { $0[68] ^= 1 }
    files["3-content.kcf"] = edit(example, mending: false) { $0[128] ^= 1 }
    files["3-header-other-than-entry.kcf"] = edit(example, mending: false) { $0[76] ^= 1 }
    for place in [136, 191] { files["3-padding-\(place).kcf"] = edit(example) { $0[place] = 1 } }
    set("3-stored", 264, 4, to: [0, 1, 9, 1 << 20, 1 << 31, (1 << 32) - 1])
    set("3-raw", 268, 4, to: [0, 7, 16, 1 << 20, (1 << 20) + 1, (1 << 32) - 1])
    set("3-reserved", 284, 4, to: [1, 1 << 31])
    files["3-digest.kcf"] = edit(example) { $0[288] ^= 1 }
    set("4-codec-ok", 272, 2, to: [0])
    set("4-codec", 272, 2, to: [2, 3, 4, 65_535])
    set("4-filter", 274, 2, to: [1, 8, 9, 65_535])
    for filter: UInt64 in 1...8 {
      files["4-planes-\(filter).kcf"] = edit(example) {
        $0.put(3, at: 272, width: 2)
        $0.put(filter, at: 274, width: 2)
      }
    }
    files["4-fill-of-3.kcf"] = edit(example) { $0.put(3, at: 264, width: 4) }
    // The index at 192, its texts at 320.
    files["5-index-mark.kcf"] = edit(example) { $0[192] ^= 1 }
    set("5-index-generation", 200, 8, to: [0, 2, .max])
    set("5-tensors", 208, 4, to: [0, 2, 1 << 24, (1 << 24) + 1, (1 << 32) - 1])
    set("5-attachments", 212, 4, to: [1, 1 << 16, (1 << 32) - 1])
    set("5-pairs", 216, 4, to: [0, 2, 1 << 20, (1 << 32) - 1])
    set("5-depth", 220, 4, to: [1, 4, 5, (1 << 32) - 1])
    set("5-entries", 224, 8, to: [0, 2, 3, 1 << 32, 1 << 58, .max])
    set("5-texts", 232, 8, to: [0, 40, 42, 64, 65, .max])
    for place in [240, 255] { set("5-index-reserved-\(place)", place, 1, to: [1]) }
    set("5-offset", 256, 8, to: [0, 63, 65, 128, 192, 1 << 32, 1 << 63, .max - 63, .max])
    set("5-type", 320, 2, to: [0, 5, 23, 255, 256, 264, 297, 65_535])
    set("5-rank", 322, 2, to: [0, 1, 3, 32, 33, 65_535])
    set("5-name-length", 324, 4, to: [0, 2, 64, 65_535, 65_536, (1 << 32) - 1])
    set("5-extent", 328, 8, to: [0, 1, 3, 1 << 20, 1 << 31, 1 << 62, 1 << 63, .max])
    files["5-name-zero-byte.kcf"] = edit(example) { $0[344] = 0 }
    files["5-name-not-utf8.kcf"] = edit(example) { $0[344] = 0xff }
    set("5-key-length", 345, 4, to: [0, 5, 7, 1 << 31, (1 << 32) - 1])
    set("5-value-length", 349, 4, to: [1, 3, (1 << 32) - 1])
    files["5-key-not-utf8.kcf"] = edit(example) { $0[353] = 0xc0 }
    for place in [361, 383] {
      files["5-index-padding-\(place).kcf"] = edit(example) { $0[place] = 1 }
    }
    files["5-index-digest.kcf"] = edit(example, mending: false) { $0[361] = 1 }
    files["5-trailer-mark.kcf"] = edit(example) { $0[384] ^= 1 }
    set("5-trailer-offset", 392, 8, to: [0, 320, 1 << 63])
    set("5-trailer-generation", 400, 8, to: [0, 2, 1 << 63, .max])
    set("5-trailer-previous", 408, 8, to: [1, 64, 320, 384, 1 << 63, .max])
    set("5-trailer-index", 416, 8, to: [0, 63, 64, 128, 256, 320, 384, 1 << 31, 1 << 63, .max])
    set("5-trailer-reserved", 424, 8, to: [1, .max])
    set("5-trailer-end", 496, 8, to: [1])
    files["5-trailer-checksum.kcf"] = edit(example, mending: false) { $0[508] ^= 1 }
    files["6-root.kcf"] = edit(example) { $0[464] ^= 1 }
    try texts(generations, delta, &files)
    return files
  }

  /// Attachments, pairs, bases and generations.
  private static func texts(
    _ generations: [UInt8],
    _ delta: [UInt8],
    _ files: inout [String: [UInt8]]
  ) throws {
    let tensor = MemorySource(
      ["a": Tensor([1], shape: []), "b": Tensor([1], shape: [])],
      metadata: ["k": "1", "l": "2"]
    )
    let bytes = try chunked(tensor, attachments: ["a/b": [1], "a/c": [2]])
    func change(_ name: String, _ old: String, _ new: String, _ file: [UInt8]? = nil) {
      let file = file ?? bytes
      guard let place = file.ranges(of: Array(old.utf8)).last else { return }
      files[name + ".kcf"] = edit(file) { $0.replaceSubrange(place, with: Array(new.utf8)) }
    }
    files["5-attachments-ok.kcf"] = bytes
    for (name, text) in [
      ("parent", ".."), ("empty", "//"), ("here", "./"), ("absolute", "/b"), ("backslash", "a\\b"),
      ("zero-byte", "a\0b"), ("part-empty", "a//"), ("order", "a/d"), ("twice", "a/c"),
    ] {
      let padded = text.utf8.count < 3 ? text + (text == ".." ? "/" : "b") : text
      change("5-attachment-\(name)", "a/b", padded)
    }
    let folder = try chunked(tensor, attachments: ["abc": [1], "abd/e": [2]])
    change("5-attachment-is-folder", "abd/e", "abc/e", folder)
    let name = try offset(of: "a/b", in: bytes)
    files["5-attachment-digest.kcf"] = edit(bytes) { $0[name - 1] ^= 1 }
    files["5-attachment-reserved.kcf"] = edit(bytes) { $0[name - 33] = 1 }
    for length: UInt64 in [0, 2, 1 << 20, 1 << 30, (1 << 30) + 1, .max] {
      files["5-attachment-length-\(spelled(length)).kcf"] = edit(bytes) {
        $0.put(length, at: name - 48, width: 8)
      }
    }
    change("5-keys-order", "l2", "j2")
    change("5-keys-twice", "l2", "k2")
    let second = try offset(of: "b", in: Array(bytes[..<(name - 48)]))
    files["5-names-twice.kcf"] = edit(bytes) { $0[second] = UInt8(ascii: "a") }
    let path = try offset(of: "base.safetensors", in: delta)
    for (name, text) in [
      ("absolute", "/ase.safetensors"), ("parent-within", "base/../ensors.s"),
      ("empty-part", "base//afetensors"), ("here", "./se.safetensors"),
      ("zero-byte", "base\0safetensors"), ("missing", "../e.safetensors"),
    ] {
      files["7-base-\(name).kcf"] = edit(delta) {
        $0.replaceSubrange(path..<path + 16, with: Array(text.utf8))
      }
    }
    files["7-base-reserved.kcf"] = edit(delta) { $0[path - 1] = 1 }
    // The last trailer of three generations.
    let last = generations.count - 128
    for offset: UInt64 in [64, 128, UInt64(last) - 128, UInt64(last)] {
      files["8-previous-\(offset).kcf"] = edit(generations) {
        $0.put(offset, at: last + 24, width: 8)
      }
    }
    files["8-generation-4.kcf"] = edit(generations) { $0.put(4, at: last + 16, width: 8) }
    files["8-generations-ok.kcf"] = generations
    files["8-torn-append.kcf"] = Array(generations[..<(last - 64)])
    files["8-no-commit.kcf"] = edit(generations, mending: false) { bytes in
      for range in bytes.ranges(of: Array("KCFEND".utf8)) { bytes[range.lowerBound] = 0 }
    }
  }

  private static func spelled(_ value: UInt64) -> String {
    for power in 20..<64 {
      if value == 1 << power { return "2^\(power)" }
      if value == 1 << power - 1 { return "2^\(power)-1" }
      if value == 1 << power + 1 { return "2^\(power)+1" }
    }
    return value == .max ? "2^64-1" : value == .max - 63 ? "2^64-64" : "\(value)"
  }

  /// Where a text is in a file, the last time.
  private static func offset(of text: String, in bytes: [UInt8]) throws -> Int {
    try #require(bytes.ranges(of: Array(text.utf8)).last).lowerBound
  }
}

extension [UInt8] {
  /// Puts a number, the lowest byte first.
  fileprivate mutating func put(_ value: UInt64, at place: Int, width: Int) {
    for byte in 0..<width { self[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }
}
