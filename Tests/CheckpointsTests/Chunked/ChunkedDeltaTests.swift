import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Chunks that are stored as differences from a base.
@Suite struct ChunkedDeltaTests {
  /// A fine-tuned model: the lowest bits of the base differ.
  private static func models() -> (base: MemorySource, tuned: MemorySource) {
    var numbers = Numbers(seed: 31)
    var base: [TensorName: Tensor] = [:]
    var tuned: [TensorName: Tensor] = [:]
    for number in 0..<3 {
      let elements = (0..<700_000).map { _ in UInt16(truncatingIfNeeded: numbers.next()) & 0xbfff }
      let name = TensorName("layer.\(number)")
      base[name] = Tensor(.bf16, [1000, 700], copying: elements)
      tuned[name] = Tensor(
        .bf16,
        [1000, 700],
        copying: elements.map { $0 ^ UInt16(numbers.next() % 8 == 0 ? 1 : 0) }
      )
    }
    tuned["layer.2"] = base["layer.2"]
    tuned["new"] = Tensor([1, 2, 3], shape: [3])
    return (MemorySource(base), MemorySource(tuned))
  }

  @Test func differencesAreSmallAndExact() throws {
    let (base, tuned) = Self.models()
    let plain = try chunked(tuned).count
    let bytes = try chunked(tuned, base: ChunkedWriter.Base(base, at: "base.safetensors"))
    #expect(bytes.count * 4 < plain)
    let reader = try reader(bytes, base: base)
    try reader.verify()
    try expectSameTensors(reader, tuned)
    #expect(try reader.modelRoot == ContentRoot.of(tuned, threads: 2))
    #expect(try reader.base?.root == ContentRoot.of(base, threads: 2))
    let range = 524_000..<525_000
    #expect(
      try reader.elements(range, of: "layer.1").isIdentical(
        to: tuned.elements(range, of: "layer.1")
      )
    )
  }

  @Test func theBaseIsFoundBesideTheFileInAnyFormat() throws {
    let (base, tuned) = Self.models()
    try inTemporaryFolder { folder in
      try FileManager.default.createDirectory(
        atPath: folder + "/sub",
        withIntermediateDirectories: false
      )
      try SafetensorsWriter().write(base, to: folder + "/base.safetensors")
      try ChunkedWriter().write(base, to: folder + "/base.kcf")
      for name in ["base.safetensors", "base.kcf"] {
        let path = folder + "/sub/\(name).delta.kcf"
        let source = try Checkpoint.open(path: folder + "/" + name)
        try ChunkedWriter().write(
          tuned,
          base: ChunkedWriter.Base(source, at: "../" + name),
          to: path
        )
        let reader = try ChunkedReader(path)
        #expect(reader.base?.path == "../" + name)
        try expectSameTensors(reader, tuned)
      }
    }
  }

  @Test func aMissingOrDifferentBaseIsAnError() throws {
    let (base, tuned) = Self.models()
    try inTemporaryFolder { folder in
      let path = folder + "/delta.kcf"
      try ChunkedWriter().write(tuned, base: ChunkedWriter.Base(base, at: "base.kcf"), to: path)
      let reader = try ChunkedReader(path)
      let root = try ContentRoot.of(base, threads: 2)
      // What is in the index needs no base.
      #expect(reader.manifest.count == 4)
      #expect(
        message(in: folder) { _ = try reader.tensor("layer.0") }
          == "delta.kcf: it holds differences from base.kcf, which is not there. Put the checkpoint"
          + " with the root \(root) there, or convert the file where it is."
      )
      #expect(throws: CheckpointError.self) { try reader.verify() }
      try ChunkedWriter().write(tuned, to: folder + "/base.kcf")
      let other = try ContentRoot.of(tuned, threads: 2)
      #expect(
        message(in: folder) { _ = try reader.tensor("layer.0") }
          == "delta.kcf: it holds differences from a base with the root \(root); base.kcf is another:"
          + " its root is \(other)."
      )
      // A base in memory of the same names and other bytes.
      let wrong = try ChunkedReader(path, base: tuned)
      let error = #expect(throws: CheckpointError.self) { _ = try wrong.tensor("layer.0") }
      #expect(
        error?.message.hasSuffix("The base is another one, or one of the two is damaged.") == true
      )
      let none = try ChunkedReader(path, base: MemorySource([:]))
      let missing = #expect(throws: CheckpointError.self) { _ = try none.tensor("layer.0") }
      #expect(missing?.message.contains("is not in it") == true)
    }
  }

  @Test func basesStandOneBehindTheOtherAndNeverInACircle() throws {
    var numbers = Numbers(seed: 32)
    var elements = (0..<2000).map { _ in UInt16(truncatingIfNeeded: numbers.next()) }
    try inTemporaryFolder { folder in
      try ChunkedWriter().write(
        MemorySource(["a": Tensor(.bf16, [2000], copying: elements)]),
        to: folder + "/0.kcf"
      )
      for depth in 1...5 {
        elements[depth] ^= 1
        let source = MemorySource(["a": Tensor(.bf16, [2000], copying: elements)])
        let base = ChunkedWriter.Base(
          try ChunkedReader("\(folder)/\(depth - 1).kcf"),
          at: "\(depth - 1).kcf"
        )
        func write() throws {
          try ChunkedWriter().write(source, base: base, to: "\(folder)/\(depth).kcf")
        }
        guard depth < 5 else {
          #expect(
            message(in: folder) { try write() }
              == "4.kcf: 4 bases stand behind it; at most 4 may stand one behind the other. Write it"
              + " anew without a base."
          )
          break
        }
        try write()
        let reader = try ChunkedReader("\(folder)/\(depth).kcf")
        #expect(reader.base?.depth == depth)
        #expect(try reader.tensor("a").elements(as: UInt16.self) == elements)
      }
      // A file in the place of its own base.
      try FileManager.default.removeItem(atPath: folder + "/0.kcf")
      try FileManager.default.copyItem(atPath: folder + "/1.kcf", toPath: folder + "/0.kcf")
      #expect(throws: CheckpointError.self) { _ = try ChunkedReader(folder + "/1.kcf").tensor("a") }
    }
  }

  @Test(arguments: ["", "/a", "a//b", "./a", "a/../b", "a/"])
  func pathsThatAreNoneAreRefused(_ path: String) {
    let source = MemorySource(["a": Tensor([1], shape: [])])
    #expect(throws: CheckpointError.self) {
      _ = try chunked(source, base: ChunkedWriter.Base(source, at: path))
    }
  }
}
