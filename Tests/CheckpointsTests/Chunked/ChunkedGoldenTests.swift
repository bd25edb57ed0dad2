import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

/// Files of version 1, which are read for ever, and written the same as long as libzstd is.
@Suite struct ChunkedGoldenTests {
  /// Writes the golden files into a folder.
  private func write(to folder: String) throws {
    let writer = ChunkedWriter(threads: 2)
    try writer.write(GoldenFiles.example, to: folder + "/example.kcf")
    try writer.write(
      GoldenFiles.types,
      attachments: GoldenFiles.attachments,
      to: folder + "/types.kcf"
    )
    try SafetensorsWriter(metadata: GoldenFiles.base.manifest.metadata)
      .write(GoldenFiles.base, to: folder + "/base.safetensors")
    let base = ChunkedWriter.Base(GoldenFiles.base, at: "base.safetensors")
    try writer.write(GoldenFiles.delta, base: base, to: folder + "/delta.kcf")
    let generations = folder + "/generations.kcf"
    try writer.write(GoldenFiles.base, attachments: GoldenFiles.attachments, to: generations)
    try writer.append(
      GoldenFiles.added,
      attachments: ["empty": [1]],
      removing: ["weights.0"],
      to: generations
    )
    try writer.append(MemorySource([:]), removing: ["later"], to: generations)
  }

  private static let names = [
    "example.kcf", "types.kcf", "base.safetensors", "delta.kcf", "generations.kcf",
  ]

  @Test func areRead() throws {
    let folder = fixture("kcf")
    let example = try ChunkedReader(folder + "/example.kcf")
    try example.verify()
    try expectSameTensors(example, GoldenFiles.example)
    let types = try ChunkedReader(folder + "/types.kcf")
    try types.verify()
    try expectSameTensors(types, GoldenFiles.types)
    #expect(types.manifest.metadata == GoldenFiles.types.manifest.metadata)
    for (name, content) in GoldenFiles.attachments {
      #expect(try types.attachment(name) == content)
    }
    let delta = try ChunkedReader(folder + "/delta.kcf")
    try delta.verify()
    try expectSameTensors(delta, GoldenFiles.delta)
    #expect(delta.base?.path == "base.safetensors")
    let generations = try ChunkedReader(folder + "/generations.kcf")
    try generations.verify()
    #expect(generations.generation == 3)
    #expect(generations.manifest.names.map(\.text) == ["weights.1", "weights.2"])
    #expect(try generations.tensor("weights.1").elements(as: Float.self) == [1, 2, 3])
    #expect(
      try generations.tensor("weights.2").isIdentical(to: GoldenFiles.base.tensor("weights.2"))
    )
    #expect(try generations.attachment("empty") == [1])
    #expect(generations.manifest.metadata["step"] == "2")
  }

  @Test func areReadByTheSecondReader() throws {
    func expectSame(_ slow: SlowReader, _ file: String) throws {
      let reader = try ChunkedReader(fixture("kcf/" + file))
      #expect(slow.root == reader.modelRoot.bytes)
      #expect(slow.tensors.map(\.name) == reader.manifest.names.map { Array($0.text.utf8) })
      for (name, tensor) in zip(reader.manifest.names, slow.tensors.map(\.tensor)) {
        let found = try reader.tensor(name)
        #expect(found.dtype.rawValue == tensor.type)
        #expect(found.shape.dimensions == tensor.extents.map { Int($0) })
        #expect(found.withBytes { $0.elementsEqual(tensor.content) }, "\(name)")
      }
      #expect(slow.attachments.map(\.name) == reader.attachments.map(\.name))
      for (name, content) in slow.attachments { #expect(try reader.attachment(name) == content) }
      #expect(Dictionary(uniqueKeysWithValues: slow.metadata) == reader.manifest.metadata)
      #expect(slow.base?.path == reader.base?.path && slow.base?.root == reader.base?.root.bytes)
    }
    for file in ["example.kcf", "types.kcf", "generations.kcf"] {
      try expectSame(try SlowReader(try read(fixture("kcf/" + file))), file)
    }
    let base = try GoldenFiles.base.manifest.names.sorted().map { name in
      try GoldenFiles.base.tensor(name).withBytes { Array($0) }
    }
    let delta = try read(fixture("kcf/delta.kcf"))
    try expectSame(try SlowReader(delta, baseTensors: base), "delta.kcf")
    #expect(throws: SlowReader.Fault.self) { try SlowReader(delta) }
  }

  /// The frames of the golden files are libzstd 1.5's; another may compress otherwise.
  @Test(.enabled(if: Zstandard.libraryVersion / 100 == 105))
  func areWrittenTheSame() throws {
    try inTemporaryFolder { folder in
      try write(to: folder)
      if ProcessInfo.processInfo.environment["KARAT_WRITE_GOLDEN"] == "1" {
        for name in Self.names where !FileManager.default.fileExists(atPath: fixture("kcf/" + name))
        {
          try FileManager.default.copyItem(
            atPath: folder + "/" + name,
            toPath: fixture("kcf/" + name)
          )
        }
      }
      for name in Self.names {
        #expect(try read(folder + "/" + name) == read(fixture("kcf/" + name)), "\(name)")
      }
    }
  }

  @Test func theExampleOfTheDocumentIsTheFile() throws {
    let document = try String(
      contentsOf: fixtures.deletingLastPathComponent().appending(path: "formats/kcf.md"),
      encoding: .utf8
    )
    var bytes: [UInt8] = []
    for line in document.split(separator: "\n") {
      guard let match = line.wholeMatch(of: /\ {4}([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)(\ .*)?/)
      else {
        continue
      }
      #expect(Int(match.1, radix: 16) == bytes.count)
      bytes += match.2.split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }
    #expect(try bytes == read(fixture("kcf/example.kcf")))
  }
}
