import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

/// Each file of `fixtures/hostile` breaks or stretches one rule; `expected.json` beside them gives
/// the error, or null where the file must be read.
@Suite struct HostileFilesTests {
  @Test(arguments: ["safetensors", "gguf"], [FileAccess.copied, .mapped])
  func saysWhatIsWrong(_ format: String, _ access: FileAccess) throws {
    let folder = fixture("hostile/\(format)")
    let expected = try JSONValue.parse(try read(folder + "/expected.json"))
    let members = try #require(expected.object?.members)
    #expect(members.count >= 75)
    for (file, verdict) in members {
      let found = message(in: folder) {
        let source: any TensorSource =
          if format == "gguf" {
            try GGUFReader("\(folder)/\(file)", access: access)
          } else {
            try SafetensorsReader("\(folder)/\(file)", access: access)
          }
        for name in source.manifest.names { _ = try source.tensor(name) }
      }
      #expect(found == verdict.string, "\(file)")
    }
  }

  @Test(arguments: [
    ("safetensors", "S18-empty-tensors-ok.safetensors"), ("gguf", "G06-arrays-ok.gguf"),
  ])
  func neverTrapsOnDamagedFiles(_ format: String, _ name: String) throws {
    let seed = try read(fixture("hostile/\(format)/\(name)"))
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/damaged"
      try write(seed, to: path)
      let file = try #require(FileHandle(forUpdatingAtPath: path))
      /// Writes over the file as it is: to make it anew each time would flush it each time.
      func isRefused(_ bytes: [UInt8]) throws -> Bool {
        try file.truncate(atOffset: UInt64(bytes.count))
        try file.seek(toOffset: 0)
        try file.write(contentsOf: bytes)
        do throws(CheckpointError) {
          let source: any TensorSource =
            if format == "gguf" { try GGUFReader(path) } else { try SafetensorsReader(path) }
          for name in source.manifest.names {
            let tensor = try source.tensor(name)
            #expect(tensor.byteCount == source.manifest[name]?.byteCount)
          }
          return false
        } catch {
          #expect(error.file == path)
          return true
        }
      }
      for length in (0..<seed.count).reversed() {
        #expect(try isRefused(Array(seed[..<length])))
      }
      for place in seed.indices {
        let flips = (0..<8).map { seed[place] ^ 1 << UInt8($0) }
        for byte in flips + [0, 0x20, 0x22, 0x2c, 0x30, 0x39, 0x7f, 0x80, 0xff] {
          var damaged = seed
          damaged[place] = byte
          _ = try isRefused(damaged)
        }
      }
      for place in 0...(seed.count - 8) {
        for value: UInt64 in [0, 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max - 31, .max] {
          var damaged = seed
          damaged.replaceSubrange(
            place..<place + 8,
            with: withUnsafeBytes(of: value.littleEndian, Array.init)
          )
          _ = try isRefused(damaged)
        }
      }
    }
  }
}
