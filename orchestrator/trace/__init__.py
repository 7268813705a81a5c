"""What manifests tell about finished runs: show one, compare two, rebuild one."""
