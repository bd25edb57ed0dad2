import Foundation
package import KaratTensors
package import KaratCheckpoints

/// The folder `fixtures` of the project.
package func fixture(_ path: String) -> String {
  URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "fixtures").appending(path: path).path
}

/// What an implementation of reference computed, from a safetensors file among the fixtures.
package struct Expected {
  package let source: SafetensorsReader

  package init(_ path: String) throws {
    source = try SafetensorsReader(fixture(path))
  }

  package func has(_ name: TensorName) -> Bool { source.manifest[name] != nil }

  package func floats(_ name: TensorName) throws -> [Float] {
    try source.tensor(name).elements(as: Float.self)
  }

  /// Token ids, row by row; one row where the tensor has one extent.
  package func ids(_ name: TensorName) throws -> [[Int32]] {
    let tensor = try source.tensor(name)
    let ids =
      tensor.dtype == .i64
      ? tensor.elements(as: Int64.self).map { Int32($0) } : tensor.elements(as: Int32.self)
    let length = tensor.shape.dimensions.last ?? 1
    return stride(from: 0, to: ids.count, by: length).map { Array(ids[$0..<$0 + length]) }
  }
}

/// Runs a test in a folder of its own, and removes it.
package func inTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "karat-\(UUID())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}

/// The text of the error that work throws, with a folder left out of it, or nil where none is
/// thrown.
package func message(in folder: String = "", _ work: () throws -> Void) -> String? {
  do {
    try work()
    return nil
  } catch {
    return folder.isEmpty ? "\(error)" : "\(error)".replacing(folder + "/", with: "")
  }
}

/// The largest difference of two lists, over the largest magnitude in the second.
package func relativeError(_ found: [Float], _ expected: [Float]) -> Float {
  guard found.count == expected.count, !found.isEmpty else { return .infinity }
  let largest = expected.reduce(0) { max($0, abs($1)) }
  let difference = zip(found, expected).reduce(Float(0)) { worst, pair in
    let apart = abs(pair.0 - pair.1)
    return apart.isNaN ? .infinity : max(worst, apart)
  }
  return difference / largest
}

/// Numbers that depend on the seed alone.
package struct Numbers: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// Floats within −size..<size.
  package mutating func floats(_ count: Int, size: Float = 1) -> [Float] {
    (0..<count).map { _ in Float.random(in: -size..<size, using: &self) }
  }

  /// Numbers of a normal distribution (Box and Muller, 1958).
  package mutating func normal(_ count: Int) -> [Float] {
    (0..<count).map { _ in
      let radius = (-2 * log(Double.random(in: .leastNonzeroMagnitude..<1, using: &self)))
        .squareRoot()
      return Float(radius * cos(2 * Double.pi * Double.random(in: 0..<1, using: &self)))
    }
  }
}
