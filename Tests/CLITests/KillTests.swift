import Foundation
import KaratTestSupport
import Testing

extension Command {
  /// Real processes that are killed at random moments, or whose disk is full.
  ///
  /// `KARAT_LONG=1` kills 510 times.
  @Suite struct Kills {
    /// One way to write: from either of two states of the output to the other.
    private struct Job {
      let name: String
      let output: String
      /// The arguments that make the first and the second state.
      let arguments: [[String]]

      static let all = [
        Job(
          name: "folder",
          output: "model",
          arguments: [["--dtype", "f16"], ["--dtype", "bf16"]]
        ),
        Job(
          name: "shards",
          output: "sharded",
          arguments: [["--shard-size", "100KB"], ["--shard-size", "200KB"]]
        ),
        Job(
          name: "file",
          output: "model.safetensors",
          arguments: [["--dtype", "f16"], ["--dtype", "bf16"]]
        ),
      ]
    }

    @Test func killedAtAnyMomentTheOutputIsOldOrNew() throws {
      let isLong = ProcessInfo.processInfo.environment["KARAT_LONG"] != nil
      let killsOfEach = isLong ? 170 : 8
      var numbers = Numbers(seed: 1)
      var (kills, strays, old, new) = (0, 0, 0, 0)
      try inWorkplace { place in
        try place.copy("llama-tiny", as: "source")
        let source = try place.tree("source")
        for job in Job.all {
          func arguments(_ state: Int) -> [String] {
            ["convert", "source", job.output, "--force"] + job.arguments[state]
          }
          // What each state looks like, and how long it takes to make.
          var states: [[String: [UInt8]]] = []
          var duration = 0.0
          for state in 0..<2 {
            let start = Date()
            #expect(try place.run(arguments(state)).status == 0)
            duration = max(duration, -start.timeIntervalSinceNow)
            states.append(try place.tree(job.output))
          }
          let tidy = try place.names()
          var state = 1
          var round = 0
          let wanted = kills + killsOfEach
          // Some come to their end before they are killed.
          while kills < wanted, round < 4 * killsOfEach {
            round += 1
            let next = 1 - state
            // Half of the kills come at any moment, half while the hidden output grows.
            let seconds = Double.random(in: 0..<(round % 2 == 0 ? duration : 0.02), using: &numbers)
            let wasKilled = try place.kill(arguments(next), after: seconds) {
              try round % 2 == 0 || place.names() != tidy
            }
            let found = try place.tree(job.output)
            #expect(found == states[0] || found == states[1], "\(job.name), kill \(kills)")
            if wasKilled {
              kills += 1
              strays += try place.names() == tidy ? 0 : 1
              old += found == states[state] ? 1 : 0
              new += found == states[next] ? 1 : 0
            }
            #expect(try place.run(arguments(next)).status == 0)
            #expect(try place.tree(job.output) == states[next], "\(job.name), kill \(kills)")
            #expect(try place.names() == tidy, "\(job.name), kill \(kills)")
            state = next
          }
        }
        #expect(try place.tree("source") == source)
      }
      print("kills: \(kills); hidden output left by \(strays); then old \(old), new \(new)")
      #expect(kills == killsOfEach * Job.all.count)
      #expect(strays > 0)
    }

    @Test func aDiskThatFillsUpLeavesTheOld() throws {
      try inWorkplace { place in
        for job in Job.all {
          let convert = ["convert", fixture("llama-tiny"), job.output]
          #expect(try place.run(convert + job.arguments[0]).status == 0)
          let old = try place.tree(job.output)
          let tidy = try place.names()
          for blocks in [8, 64, 128] {
            let outcome = try place.run(
              convert + job.arguments[1] + ["--force"],
              shell: "ulimit -f \(blocks);"
            )
            #expect(outcome.status == 74)
            #expect(
              outcome.message.wholeMatch(
                of:
                  #/karat: (model|sharded|model\.safetensors)(/model[-0-9a-z]*\.safetensors)?: it cannot be written: file too large \(27\)\. Free some space, or write to another disk\./#
              ) != nil,
              "\(outcome.message)"
            )
            #expect(try place.tree(job.output) == old)
            #expect(try place.names() == tidy)
          }
        }
      }
    }
  }
}

extension Workplace {
  /// The bytes of a file, or of all files of a folder by path.
  fileprivate func tree(_ name: String) throws -> [String: [UInt8]] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path(name), isDirectory: &isFolder) else {
      return [:]
    }
    guard isFolder.boolValue else { return ["": try read(name)] }
    return try names(in: name).reduce(into: [:]) { $0[$1] = try read(name + "/" + $1) }
  }

  /// Runs the command and kills it once it has begun and some time has passed.
  ///
  /// - Parameters:
  ///   - arguments: what follows `karat`.
  ///   - seconds: how long to wait after it has begun.
  ///   - hasBegun: asked again and again from the start on.
  /// - Returns: false where it came to its end before.
  /// - Throws: what keeps it from being run.
  func kill(
    _ arguments: [String],
    after seconds: Double,
    once hasBegun: () throws -> Bool
  ) throws -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: Self.command)
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    while process.isRunning, try !hasBegun() { usleep(100) }
    usleep(UInt32(seconds * 1e6))
    _ = Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal
  }
}
