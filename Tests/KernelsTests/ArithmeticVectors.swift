import Foundation
import Testing

/// A file of `fixtures/arithmetic`: arrays by name, as PyTorch computed them.
struct ArithmeticVectors {
  private struct Entry: Decodable {
    let data_offsets: [Int]
  }

  private let bytes: Data
  private let entries: [String: Entry]

  init(_ name: String) throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "fixtures/arithmetic/\(name).safetensors")
    let file = try Data(contentsOf: url)
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    entries = try JSONDecoder().decode([String: Entry].self, from: file[8..<8 + length])
    bytes = file.suffix(from: 8 + length)
  }

  func callAsFunction<Element: BitwiseCopyable>(_ name: String, as: Element.Type) throws
    -> [Element]
  {
    let offsets = try #require(entries[name]).data_offsets
    let part = bytes[bytes.startIndex + offsets[0]..<bytes.startIndex + offsets[1]]
    return part.withUnsafeBytes { raw in
      (0..<raw.count / MemoryLayout<Element>.stride).map {
        raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self)
      }
    }
  }
}
