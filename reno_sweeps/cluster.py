"""Ray on this machine or a cluster: started privately or joined, and left without a trace."""
